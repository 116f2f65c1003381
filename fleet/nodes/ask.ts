import { hasErrno } from "../../effects/errno.ts";
import { ProcessError } from "../../effects/process.ts";
import type { Client } from "../../hostd/client.ts";
import { Failure } from "../../manifests/failure.ts";
import type { Node } from "../../manifests/inventory.ts";
import type { StatusDocument } from "../../manifests/node.ts";
import { FleetError } from "../error.ts";
import { type NodeAddress, withinLimit, withSession } from "../push/session.ts";

/** How ssh reaches a node of the inventory. */
export function addressOf({ destination, sshConfig, socket, key }: Node): NodeAddress {
  return { destination, sshConfig, socket, key };
}

/** Asks a node over a connection of its own; never asks anybody for a passphrase. */
export async function askNode<T>(node: Node, signal: AbortSignal, ask: (client: Client) => Promise<T>): Promise<T> {
  return await withSession(addressOf(node), { unattended: true, signal }, ({ socket }) =>
    withinLimit(socket, signal, ask),
  );
}

/** Says that behind a connection that stands nobody answers; other errors stay what they are. */
export function silentHostd(name: string, hint: string): (error: unknown) => never {
  return (error) => {
    if (!hasErrno(error, "ECONNRESET", "EPIPE")) throw error;
    throw new FleetError("node-unreachable", `${name}: hostd is not running: nobody answers behind ssh`, {
      cause: error,
      hint,
    });
  };
}

/** What a node said of itself, or why it did not. */
export type Answered = { node: Node } & ({ status: StatusDocument } | { problem: string });

/** The status of many nodes, so many at a time; one that does not answer holds nobody up. */
export async function askAll(nodes: readonly Node[], parallel: number, signal: AbortSignal): Promise<Answered[]> {
  const answers = new Map<Node, Answered>();
  await eachOf(nodes, parallel, async (node) => {
    const answer = await askNode(node, signal, (client) => client.status()).then(
      (status) => ({ node, status }),
      (error: unknown) => ({ node, problem: problemOf(error) }),
    );
    answers.set(node, answer);
  });
  return nodes.map((node) => answers.get(node) ?? { node, problem: "not asked" });
}

/** In one line, for a table: of what a program said, the last. */
export function problemOf(error: unknown): string {
  if (hasErrno(error, "ECONNRESET", "EPIPE")) return "hostd is not running: nobody answers behind ssh";
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof Failure)) return message.trimEnd().split("\n").at(-1) ?? "";
  if (!(error instanceof ProcessError)) return error.hint === undefined ? message : `${message} (${error.hint})`;
  const [program = ""] = message.split(" ");
  return `${program}: ${message.trimEnd().split("\n").at(-1)}`;
}

/** Works on each, `parallel` at a time, in order. The first that throws ends it once those under way have ended. */
export async function eachOf<T>(all: readonly T[], parallel: number, work: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const worker = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      try {
        await work(next);
      } catch (error) {
        left.length = 0;
        throw error;
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(parallel, all.length) }, worker));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}
