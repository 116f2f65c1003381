import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { ProcessError, run } from "../../effects/process.ts";
import { FleetError } from "../error.ts";

/** How a node is reached: what ssh(1) takes as its destination, and its configuration where that is not the user's own. */
export interface NodeAddress {
  destination: string;
  sshConfig?: string | undefined;
  /** hostd's socket on the node. */
  socket: string;
  /** Fingerprint of its host key, where that is known: another machine is refused, whatever ssh thinks of it. */
  key?: string | undefined;
}

/** One SSH connection to a node, shared by what goes over it. */
export interface Session {
  /** A local socket that leads to hostd's. */
  socket: string;
  /** Fingerprint of the host key that ssh verified: `SHA256:...`. */
  hostKey: string;
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
  const [control, socket, log] = [join(directory, "c"), join(directory, "s"), join(directory, "log")];
  const common = [...(node.sshConfig === undefined ? [] : ["-F", node.sshConfig]), "-o", `ControlPath=${control}`];
  try {
    const opening = ["ssh", "-v", "-E", log, ...common, ...openingOptions(options.unattended ?? false)];
    const command = [...opening, "-L", `${socket}:${node.socket}`, node.destination];
    await run(command, { signal: options.signal }).catch(async (error: unknown) => {
      throw explained(error, command, await readLog(log));
    });
    const hostKey = hostKeyIn(await readLog(log));
    if (node.key !== undefined && node.key !== hostKey) throw otherNode(node, hostKey);
    return await use({
      socket,
      hostKey,
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

/** From what `ssh -v` says of the key exchange. */
export function hostKeyIn(log: string): string {
  return /^debug1: Server host key: \S+ (SHA256:[A-Za-z0-9+/]{43})\r?$/m.exec(log)?.[1] ?? "unknown";
}

async function readLog(log: string): Promise<string> {
  return (await unlessMissing(readFile(log, "utf8"))) ?? "";
}

/** ssh's own words, which went to its log, without what it says to those who debug it. */
function explained(error: unknown, command: readonly string[], log: string): unknown {
  if (!(error instanceof ProcessError) || error.code === "process-missing") return error;
  const said = log.split(/\r?\n/).filter((line) => line !== "" && !/^(?:debug\d: |OpenSSH_)/.test(line));
  return new ProcessError(command, { ...error, missing: false, output: said.join("\n") });
}

function otherNode({ destination, key }: NodeAddress, found: string): FleetError {
  return new FleetError("other-node", `${destination}: expected the machine with host key ${key}, got ${found}`, {
    hint: "where it was installed anew: ostler node remove, then ostler node add",
  });
}
