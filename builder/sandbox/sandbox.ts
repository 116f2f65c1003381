import { access, chmod, mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { ProcessError, run } from "../../effects/process.ts";
import { BuildError } from "../error.ts";
import { expectPrograms } from "../programs.ts";
import { fromBinary, toBinary } from "../tree/bytes.ts";
import type { Tree } from "../tree/tree.ts";
import { lookupUser } from "../tree/users.ts";
import { type SandboxMount, sandboxCommand } from "./command.ts";
import { machineNetwork, OFFLINE, type SandboxFile } from "./machine.ts";
import { type MountPoint, prepareOverlay } from "./overlay.ts";
import { removeMountPoints } from "./residue.ts";
import { bindSetpriv } from "./setpriv.ts";
import type { Program } from "./shell.ts";

export interface SandboxOptions {
  /** A directory of one's own on the cache's file system; the sandbox makes its own below it. */
  work: string;
  /** Directories of the tree, lowest first, and the merged view of them. */
  layers: readonly string[];
  tree: Tree;
  /** Where changes go; undefined runs on a read-only root. */
  upper: string | undefined;
  program: Program;
  env: Readonly<Record<string, string>>;
  workdir: string;
  /** As USER says it, looked up in the tree. */
  user: string | undefined;
  network: boolean;
  mounts: readonly SandboxMount[];
  files?: readonly SandboxFile[];
  locks?: readonly string[];
  /** Milliseconds. */
  timeout?: number;
  signal: AbortSignal;
  onOutput(text: string): void;
}

/** How a command in a sandbox ended. */
export interface SandboxEnd {
  /** 128 + n for a process that signal n ended, as shells count. */
  exitCode: number;
  timedOut: boolean;
}

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** What shells say of a process that SIGKILL ended. */
const KILLED = 137;

/**
 * Runs one command in a tree: bubblewrap over an overlay, in namespaces of its own, with the machine's network or with
 * loopback alone. Leaves no process, no mount, and nothing in `upper` but what the command itself did.
 */
export async function runInSandbox(options: SandboxOptions): Promise<SandboxEnd> {
  expectPrograms("setpriv", "unshare", "mount", "bwrap", ...(options.locks?.length ? ["flock"] : []));
  const directory = join(options.work, "sandbox");
  await mkdir(directory);
  const ids = lookupUser(options.tree, options.user);
  const machine = options.network ? await machineNetwork() : OFFLINE;
  const setpriv = ids.uid === 0 && ids.gid === 0 ? undefined : await bindSetpriv();
  const script = options.program.script;
  const files: SandboxFile[] = [
    ...machine.files,
    ...(setpriv?.files ?? []),
    ...(options.files ?? []),
    ...(script === undefined ? [] : [{ path: script.path, source: { content: script.content }, mode: 0o755 }]),
  ];
  const resolved = (target: string) => `/${fromBinary(options.tree.resolve(toBinary(target)))}`;
  const mounts = [...options.mounts, ...(await writeFiles(files, directory))].map((mount) => ({
    ...mount,
    target: resolved(mount.target),
  }));
  const filePaths = new Set(files.map((file) => resolved(file.path)));
  const mountPoints = await mountPointsOf(mounts, filePaths);
  const overlayOptions = prepareOverlay({ directory, layers: options.layers, upper: options.upper, mountPoints });
  const env = { PATH: DEFAULT_PATH, HOME: ids.home, ...machine.env, ...options.env };
  const user = setpriv === undefined ? undefined : { ids, setpriv: setpriv.command };
  const spec = { directory, overlayOptions, mounts, env, user, workdir: options.workdir, network: options.network };
  const command = sandboxCommand({ ...spec, command: options.program.command, locks: options.locks ?? [] });
  const end = await execute(command, options, directory);
  if (options.upper !== undefined) removeMountPoints(options.upper, mountPoints, options.tree);
  return end;
}

async function execute(command: string[], options: SandboxOptions, directory: string): Promise<SandboxEnd> {
  const { signal, onOutput, timeout } = options;
  try {
    await run(command, { signal, onOutput, ...(timeout === undefined ? {} : { timeout }) });
    return { exitCode: 0, timedOut: false };
  } catch (error) {
    if (!(error instanceof ProcessError) || error.code === "process-missing") throw error;
    await expectMounted(directory, error);
    return { exitCode: error.exitCode ?? KILLED, timedOut: error.timedOut };
  }
}

async function expectMounted(directory: string, error: ProcessError): Promise<void> {
  if ((await unlessMissing(access(join(directory, "mounted")).then(() => true))) !== undefined) return;
  throw new BuildError("overlay", `expected to mount an overlay in ${directory}, got: ${error.output}`, {
    cause: error,
    hint: "the build cache must lie on a file system that overlayfs can write to (ext4, xfs, btrfs), not on an overlay: choose another with --home",
  });
}

/** Writes the builder's own files beside the overlay and turns every file into a read-only mount. */
async function writeFiles(files: readonly SandboxFile[], directory: string): Promise<SandboxMount[]> {
  await mkdir(join(directory, "files"));
  return Promise.all(
    files.map(async ({ path, source, mode = 0o644 }, index) => {
      if ("machine" in source) return { kind: "bind", source: source.machine, target: path, readonly: true };
      const written = join(directory, "files", String(index));
      await writeFile(written, source.content);
      await chmod(written, mode); // whatever the umask
      return { kind: "bind", source: written, target: path, readonly: true };
    }),
  );
}

/** Places that must exist before bubblewrap mounts on them; what lies in /dev and /proc it makes itself. */
async function mountPointsOf(mounts: readonly SandboxMount[], files: ReadonlySet<string>): Promise<MountPoint[]> {
  const points: MountPoint[] = ["proc", "dev"].map((path) => ({ path, directory: true }));
  for (const mount of mounts) {
    if (/^\/(?:dev|proc)\//.test(mount.target)) continue;
    const isFile = files.has(mount.target) || (mount.kind === "bind" && !(await stat(mount.source)).isDirectory());
    points.push({ path: toBinary(mount.target.slice(1)), directory: !isFile });
  }
  return points;
}
