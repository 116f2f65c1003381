import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasErrno, unlessMissing } from "../../effects/errno.ts";
import { ProcessError, quoteCommand, run } from "../../effects/process.ts";
import { type Client, openClient } from "../../hostd/client.ts";
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
  /** The command line that runs another on the node, over this connection; 255 is ssh's own exit code. */
  command(remote: readonly string[]): string[];
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
  const directory = await mkdtemp(join(tmpdir(), `ostler-ssh-${process.pid}-`)); // short: socket paths end at 107 bytes
  const [control, socket, log] = [join(directory, "c"), join(directory, "s"), join(directory, "log")];
  const common = [...(node.sshConfig === undefined ? [] : ["-F", node.sshConfig]), "-o", `ControlPath=${control}`];
  const shared = [...common, "-o", "ProxyCommand=false"]; // never a connection of its own, to whom its key was not asked
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
        const command = ["sftp", "-q", ...shared, "-b", "-", node.destination];
        return (await run(command, { input: batch, signal: options.signal })).stdout;
      },
      command: (remote) => ["ssh", ...shared, node.destination, quoteCommand(remote)],
    });
  } finally {
    await endSession(common, node.destination);
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

/** How long hostd may take for one answer, milliseconds: a living sshd says nothing about it. */
const ANSWER_LIMIT = 20_000;

/** Asks hostd behind a session's socket; one that does not answer in time cannot be reached (`node-unreachable`). */
export async function withinLimit<T>(
  socket: string,
  signal: AbortSignal,
  ask: (client: Client) => Promise<T>,
): Promise<T> {
  const limit = AbortSignal.timeout(ANSWER_LIMIT);
  try {
    return await ask(openClient(socket, AbortSignal.any([signal, limit])));
  } catch (error) {
    if (signal.aborted || !limit.aborted) throw error;
    throw new FleetError("node-unreachable", `hostd did not answer within ${ANSWER_LIMIT / 1_000} s`, { cause: error });
  }
}

/** Ends connections whose command was killed and could not. */
export async function sweepSessions(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const [, pid] = /^ostler-ssh-(\d+)-/.exec(name) ?? [];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const directory = join(tmpdir(), name);
    await endSession(["-o", `ControlPath=${join(directory, "c")}`], "any");
    await rm(directory, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasErrno(error, "ESRCH");
  }
}

/** Through its control socket; one that is gone already needs no end. */
async function endSession(options: readonly string[], destination: string): Promise<void> {
  await run(["ssh", ...options, "-O", "exit", destination], { timeout: 10_000 }).catch(() => {});
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
