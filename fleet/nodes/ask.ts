import { hasErrno } from "../../effects/errno.ts";
import { type Client, openClient } from "../../hostd/client.ts";
import { Failure } from "../../manifests/failure.ts";
import type { Node } from "../../manifests/inventory.ts";
import type { StatusDocument } from "../../manifests/node.ts";
import { type NodeAddress, type Session, withSession } from "../push/session.ts";

/** How ssh reaches a node of the inventory. */
export function addressOf({ destination, sshConfig, socket, key }: Node): NodeAddress {
  return { destination, sshConfig, socket, key };
}

/** Asks a node over a connection of its own; never asks anybody for a passphrase. */
export async function askNode<T>(
  node: Node,
  signal: AbortSignal,
  ask: (client: Client, session: Session) => Promise<T>,
): Promise<T> {
  return await withSession(addressOf(node), { unattended: true, signal }, (session) =>
    ask(openClient(session.socket, signal), session),
  );
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

/** The last line that says something, for a table. */
export function problemOf(error: unknown): string {
  if (hasErrno(error, "ECONNRESET", "EPIPE")) return "hostd is not running: nobody answers behind ssh";
  const message = error instanceof Error ? error.message : String(error);
  const own = error instanceof Failure && error.code !== "process-failed";
  return own ? message : (message.trimEnd().split("\n").at(-1) ?? "");
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
