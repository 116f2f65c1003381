import { setTimeout as delay } from "node:timers/promises";
import { hasErrno } from "../../effects/errno.ts";
import { ProcessError } from "../../effects/process.ts";
import { type Client, openClient } from "../../hostd/client.ts";
import { isUpgrade } from "../../hostd/states.ts";
import { Failure } from "../../manifests/failure.ts";
import type { OperationDocument } from "../../manifests/node.ts";
import type { Progress } from "../../terminal/progress.ts";
import { FleetError } from "../error.ts";
import { type NodeAddress, withinLimit, withSession } from "./session.ts";

export interface DriveOptions {
  node: NodeAddress;
  app: string;
  /** What the node is asked for, and with what: `deploy`, `activate`, `rollback`. */
  verb: string;
  body: Record<string, unknown>;
  /** Never ask anybody for a passphrase. */
  unattended?: boolean;
  /** Is told what the node began. */
  onBegun?: (operation: OperationDocument) => void;
  /** Seconds within which the new system must be reached over a new connection; undefined where nothing starts anew. */
  confirmWithin: number | undefined;
  progress: Progress;
  signal: AbortSignal;
}

/** Pause between two tries to reach a node that starts anew, milliseconds. */
const PAUSE = 2_000;
/** How much longer than its own deadline a node may take to be back with its old system, and where nothing starts anew, milliseconds. */
const COMING_BACK = 20 * 60_000;
const COMING_BACK_APP = 5 * 60_000;
/** How long hostd may say nothing while an operation is followed, which it is asked about every 20 s: milliseconds. */
const SILENCE = 60_000;

/**
 * Begins an operation on a node and follows it to its end, across a new start of the node. Each connection after that
 * is a new one, and says so: the node takes a system back that nobody can reach.
 */
export async function drive(options: DriveOptions): Promise<OperationDocument> {
  const { node, app, verb, unattended = false, onBegun, confirmWithin, progress, signal } = options;
  const begun = await withSession(node, { unattended, signal }, async ({ socket }) => {
    const body = confirmWithin === undefined ? options.body : { ...options.body, confirmWithin };
    const operation = await withinLimit(socket, signal, (client) => client.begin(app, verb, body));
    onBegun?.(operation);
    return await follow(openClient(socket), operation, progress, signal);
  });
  if (begun.finished !== undefined) return begun;
  for (let [last, heard] = [begun, Date.now()]; ; ) {
    const answered = await ask(last, options);
    if (answered !== undefined) [last, heard] = [answered, Date.now()];
    if (last.finished !== undefined || signal.aborted) return last;
    if (Date.now() > heard + patienceOf(options, last)) throw unreachable(options, last);
    progress({
      id: `operation-${last.id}`,
      state: "started",
      text: `${last.kind} ${last.app}: waiting for ${node.destination}`,
    });
    await delay(PAUSE, undefined, { signal }).catch(() => {});
  }
}

/** What the node says of the operation now, over a new connection; undefined where it cannot be reached. */
async function ask(operation: OperationDocument, options: DriveOptions): Promise<OperationDocument | undefined> {
  const { node, confirmWithin, progress, signal } = options;
  try {
    return await withSession(node, { unattended: true, signal }, async ({ socket }) => {
      const last = await withinLimit(socket, signal, async (client) => {
        if (confirmWithin !== undefined) await client.confirm().catch(unlessNothingWaits);
        return await client.operation(operation.id);
      });
      return await follow(openClient(socket), last, progress, signal);
    });
  } catch (error) {
    if (isUnreachable(error)) return undefined;
    throw error;
  }
}

/** Follows the operation for as long as the connection holds and hostd answers. */
async function follow(client: Client, operation: OperationDocument, progress: Progress, signal: AbortSignal) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE);
  const heard: Progress = (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE);
    progress(event);
  };
  try {
    return await client.wait(operation, heard, AbortSignal.any([signal, silence.signal]));
  } catch (error) {
    if (isUnreachable(error)) return operation;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The connection ended, ssh gave up, or hostd does not answer yet. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof ProcessError) return true;
  if (error instanceof Failure) return error.code === "not-running" || error.code === "node-unreachable";
  return hasErrno(error, "ECONNRESET", "ECONNREFUSED", "EPIPE", "ENOENT");
}

function unlessNothingWaits(error: unknown): void {
  if (error instanceof Failure && error.code === "bad-request") return;
  throw error;
}

/** How long a node is waited for after its last answer, milliseconds: one that upgrades itself starts anew. */
function patienceOf({ confirmWithin = 0 }: DriveOptions, { kind }: OperationDocument): number {
  return isUpgrade(kind) ? confirmWithin * 1_000 + COMING_BACK : COMING_BACK_APP;
}

function unreachable(options: DriveOptions, last: OperationDocument): FleetError {
  const { destination } = options.node;
  const minutes = patienceOf(options, last) / 60_000;
  return new FleetError(
    "node-unreachable",
    `${destination}: expected it back within ${minutes} minutes, it does not answer`,
    {
      hint: `once it does: ssh ${destination} hostd changes ${last.id}`,
    },
  );
}
