import type { UserIds } from "../tree/users.ts";

/** Something mounted inside a sandbox, by absolute target; `source` is a path on the machine. */
export type SandboxMount =
  | { kind: "bind"; source: string; target: string; readonly: boolean }
  | { kind: "tmpfs"; target: string; size?: number | undefined };

export interface SandboxSpec {
  /** The mount directory (builder/sandbox/overlay.ts): the process starts in it. */
  directory: string;
  overlayOptions: string;
  mounts: readonly SandboxMount[];
  env: Readonly<Record<string, string>>;
  workdir: string;
  network: boolean;
  command: readonly string[];
  /** Numbers to run as, and how to call setpriv from inside; undefined runs as root. */
  user?: { ids: UserIds; setpriv: readonly string[] } | undefined;
  /** `flock` files to hold while the step runs. */
  locks: readonly string[];
}

/** What apt, dpkg and package scripts need of root, and no more: no mounts, no modules, no raw devices. */
const CAPABILITIES = [
  "CAP_AUDIT_WRITE",
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_MKNOD",
  "CAP_NET_BIND_SERVICE",
  "CAP_SETFCAP",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_CHROOT",
];

/** Leaves `mounted` behind once the overlay stands, so that a failure to mount is told from a failure of the step. */
const MOUNT_SCRIPT = `umask 022 && cd "$1" && mount -t overlay overlay -o "$2" merged && : > mounted || exit 125; shift 2; exec "$@"`;

/**
 * The whole command of a sandbox. Every program but the last replaces itself by the next, so killing the one process
 * kills all: bubblewrap dies with it, the process namespace with bubblewrap, and the mounts with their namespace.
 */
export function sandboxCommand(spec: SandboxSpec): string[] {
  return [
    ...["setpriv", "--pdeathsig", "KILL", "--"],
    ...spec.locks.flatMap((lock) => ["flock", "--no-fork", "--exclusive", lock]),
    ...["unshare", "--mount", "--propagation", "private", "--"],
    ...["sh", "-c", MOUNT_SCRIPT, "sh", spec.directory, spec.overlayOptions],
    ...bubblewrap(spec),
    ...asUser(spec.user),
    ...spec.command,
  ];
}

function bubblewrap(spec: SandboxSpec): string[] {
  return [
    ...["bwrap", "--die-with-parent", "--new-session"],
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "ostler"],
    ...(spec.network ? [] : ["--unshare-net"]),
    ...["--cap-drop", "ALL", ...CAPABILITIES.flatMap((name) => ["--cap-add", name])],
    ...["--bind", "merged", "/", "--proc", "/proc", "--dev", "/dev", "--dir", "/dev/ostler"],
    ...spec.mounts.flatMap(mountArguments),
    "--clearenv",
    ...Object.entries(spec.env).flatMap(([name, value]) => ["--setenv", name, value]),
    ...["--chdir", spec.workdir, "--"],
  ];
}

function mountArguments(mount: SandboxMount): string[] {
  if (mount.kind === "bind") return [mount.readonly ? "--ro-bind" : "--bind", mount.source, mount.target];
  const size = mount.size === undefined ? [] : ["--size", String(mount.size)];
  return ["--perms", "1777", ...size, "--tmpfs", mount.target];
}

function asUser(user: SandboxSpec["user"]): string[] {
  if (user === undefined) return [];
  const { uid, gid, groups } = user.ids;
  const supplementary = groups.length === 0 ? ["--clear-groups"] : ["--groups", groups.join(",")];
  return [
    ...user.setpriv,
    ...["--reuid", String(uid), "--regid", String(gid), ...supplementary],
    ...["--inh-caps=-all", "--ambient-caps=-all", "--"],
  ];
}
