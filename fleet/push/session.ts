import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../effects/process.ts";

/** How a node is reached: what ssh(1) takes as its destination, and its configuration where that is not the user's own. */
export interface NodeAddress {
  destination: string;
  sshConfig?: string | undefined;
  /** hostd's socket on the node. */
  socket: string;
}

/** One SSH connection to a node, shared by what goes over it. */
export interface Session {
  /** A local socket that leads to hostd's. */
  socket: string;
  /** Runs commands of sftp(1), and answers what it printed. */
  sftp(batch: string): Promise<string>;
}

/** A node that is gone is noticed after three of these, in seconds. */
const ALIVE_INTERVAL = 5;
const CONNECT_TIMEOUT = 10;

/**
 * Opens a new connection with the system's own ssh, so that its configuration, agents, certificates and jump hosts
 * work, for as long as `use` runs. `unattended`: never ask for anything.
 */
export async function withSession<T>(
  node: NodeAddress,
  options: { unattended?: boolean; signal?: AbortSignal },
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "ostler-ssh-")); // short: socket paths end at 107 bytes
  const [control, socket] = [join(directory, "c"), join(directory, "s")];
  const common = [...(node.sshConfig === undefined ? [] : ["-F", node.sshConfig]), "-o", `ControlPath=${control}`];
  try {
    await run(
      [
        "ssh",
        ...common,
        ...openingOptions(options.unattended ?? false),
        "-L",
        `${socket}:${node.socket}`,
        node.destination,
      ],
      {
        signal: options.signal,
      },
    );
    return await use({
      socket,
      async sftp(batch) {
        const command = ["sftp", "-q", ...common, "-b", "-", node.destination];
        return (await run(command, { input: batch, signal: options.signal })).stdout;
      },
    });
  } finally {
    await run(["ssh", ...common, "-O", "exit", node.destination], { timeout: 10_000 }).catch(() => {}); // gone already
    await rm(directory, { recursive: true, force: true });
  }
}

function openingOptions(unattended: boolean): string[] {
  const options = [
    "ControlMaster=yes",
    "ControlPersist=no",
    "ExitOnForwardFailure=yes",
    `ServerAliveInterval=${ALIVE_INTERVAL}`,
    `ConnectTimeout=${CONNECT_TIMEOUT}`,
    ...(unattended ? ["BatchMode=yes"] : []),
  ];
  return [...options.flatMap((option) => ["-o", option]), "-f", "-N"];
}
