import type { Mount, StartSpec } from "./node.ts";
import { PROGRAMS } from "./programs.ts";

/** For programs named without a slash in images that set no PATH, as OCI runtimes have it. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Privileges that enter.pl needs for its pivot_root and user change, and then gives up. */
const ENTER_CAPABILITIES = ["CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"];

/** Standard mounts of every sandbox; an image need not have the directories. */
export const STANDARD_POINTS = ["/proc", "/dev", "/tmp", "/run"];

/** Where files lie that may be replaced while the app runs. */
export const LIVE_POINT = "/run/config";

/** Processes that make a sandbox and stay with it: bwrap and the init of its pid namespace. */
export const SANDBOX_TASKS = 2;

/** What runs in a sandbox. */
export type Program = Pick<StartSpec, "command" | "env" | "workdir" | "limits">;

export interface Sandbox {
  /** The slot. */
  root: string;
  /** A directory that holds nothing but mount points; the image may lack them. */
  points: string;
  /** Where both are joined, in the sandbox's own mount namespace. */
  at: string;
  data: Mount | undefined;
  /** Files, read-only. */
  files: readonly Mount[];
  /** A directory of links that stand above the image, and what they lead into (/run/config). */
  live?: { links: string; source: string };
}

/** Descriptors of the process to come: sockets from 3 on, then these two. */
function descriptorsOf(listenFds: number) {
  return { spec: 3 + listenFds, report: 4 + listenFds };
}

/**
 * The command line that makes the sandbox and starts a process in it: image read-only, own pid, ipc and uts namespaces, the
 * node's network, fresh /proc, /dev, /tmp and /run. It dies with its parent. What runs, and as whom, is in specBytes.
 */
export function launchCommand(sandbox: Sandbox, listenFds: number, cgroups: readonly string[] = []): string[] {
  const { spec, report } = descriptorsOf(listenFds);
  const { live } = sandbox;
  const lower = [...(live === undefined ? [] : [live.links]), sandbox.root, sandbox.points];
  return [
    ...["/usr/bin/perl", PROGRAMS.prepare, process.arch, ...cgroups, "--", `lowerdir=${lower.join(":")}`, sandbox.at],
    ...["bwrap", "--die-with-parent", "--new-session"],
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"],
    ...["--ro-bind", "/usr", "/usr", "--ro-bind-try", "/lib", "/lib", "--ro-bind-try", "/lib64", "/lib64"],
    ...["--ro-bind", PROGRAMS.enter, "/enter.pl", "--ro-bind", sandbox.at, "/app"],
    ...["--proc", "/app/proc", "--dev", "/app/dev"],
    ...["/app/tmp", "/app/run", "/app/dev/shm"].flatMap((path) => ["--perms", "1777", "--tmpfs", path]),
    ...(live === undefined ? [] : ["--ro-bind", live.source, `/app${LIVE_POINT}`]),
    ...(sandbox.data === undefined ? [] : ["--bind", sandbox.data.source, `/app${sandbox.data.target}`]),
    ...sandbox.files.flatMap(({ source, target }) => ["--ro-bind", source, `/app${target}`]),
    ...["--cap-drop", "ALL", ...ENTER_CAPABILITIES.flatMap((name) => ["--cap-add", name]), "--clearenv"],
    ...["--", "/usr/bin/perl", "/enter.pl", process.arch, String(spec), String(report)],
  ];
}

/** The command line that runs something beside a living process, in its namespaces and its root. */
export function besideCommand(pid: number): string[] {
  const { spec, report } = descriptorsOf(0);
  return ["/usr/bin/perl", PROGRAMS.enter, process.arch, String(spec), String(report), String(pid)];
}

/**
 * What enter.pl reads: user, sockets, workdir, environment, command. It is no part of a command line, which every user
 * of the node could read, nor of the environment of the programs that make the sandbox, which run as root.
 */
export function specFields(program: Program, user: number, listenFds: number): string[] {
  const env = Object.entries({ PATH: DEFAULT_PATH, ...program.env }).map(([name, value]) => `${name}=${value}`);
  const workdir = program.workdir === "" ? "/" : program.workdir;
  return [
    String(user),
    String(listenFds),
    String(program.limits?.files ?? 0),
    workdir,
    String(env.length),
    ...env,
    ...program.command,
  ];
}
