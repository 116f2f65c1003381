import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "../../hostd/client.ts";
import { describeHold } from "../../hostd/verbs/show.ts";
import { hexOf, shortDigest } from "../../manifests/digest.ts";
import { Failure } from "../../manifests/failure.ts";
import type { Node } from "../../manifests/inventory.ts";
import type { AppStatus, OperationDocument, UpdateHold } from "../../manifests/node.ts";
import type { Rollout, RolloutNode } from "../../manifests/rollout.ts";
import type { Progress } from "../../terminal/progress.ts";
import { FleetError } from "../error.ts";
import { addressOf, askNode, problemOf } from "../nodes/ask.ts";
import { type DriveOptions, drive, isUnreachable } from "../push/drive.ts";
import { push } from "../push/push.ts";

// What a rollout does to one node. Each may be repeated after a crash: a node knows a request again by its id, and what
// is done already stays as it is. Every change answers where the node stands then.

export interface Worker {
  rollout: Rollout;
  /** The operator's repository, and the state of what its owner trusts. */
  repository: string;
  trust: string;
  progress: Progress;
  signal: AbortSignal;
  /** Reverts of this image by earlier rollouts (revertOf): the quarantine that such a one set does not bind the next. */
  reverts: ReadonlySet<string>;
  /** Has something about the node on record before anything else is done. */
  remember(change: Partial<RolloutNode>): Promise<void>;
}

type Change = Partial<RolloutNode> & Pick<RolloutNode, "state">;

/** Sends a node the release and has it staged, so that a switch needs no network; remembers what it runs. */
export async function prepareNode(worker: Worker, node: Node): Promise<Change> {
  const { rollout, repository, trust, signal } = worker;
  const { product, channel } = rollout.file;
  const { image } = rollout.release;
  const progress = progressOf(worker, node);
  const attempt = async (): Promise<Change> => {
    const { from, before } = await askNode(node, signal, async (client) => {
      const { hostd, apps, quarantine } = await client.status();
      const known = apps.find(({ app }) => app === product);
      if (known?.updatesHeld !== undefined && known.current?.image !== image) throw heldNode(node, known.updatesHeld);
      const ours = quarantine.find((one) => one.image === image && worker.reverts.has(revertOf(node, one.operation)));
      if (ours !== undefined) await client.release(image);
      return { from: hostd.repository, before: known?.current?.image };
    });
    if (!/^https?:/.test(from)) {
      const address = addressOf(node);
      const places = { remote: from, remoteState: node.state, node: address, unattended: true, now: () => new Date() };
      await push({ ...places, repository, trust, product, channel, image, progress, signal });
    }
    const body = { channel, requestId: requestId(rollout, "stage") };
    const staged = await driveNode(worker, node, { verb: "stage", body });
    if (staged.finished === undefined) return { state: "waiting" };
    if (staged.state === "failed") return failed(staged);
    const slots = await askNode(node, signal, async (client) => (await appOf(client, product))?.slots ?? []);
    if (!slots.some((slot) => slot.image === image)) throw notStaged(rollout, node);
    return { state: "prepared", ...(before === undefined ? {} : { before }), operation: staged.id };
  };
  return await attempt().catch((error: unknown) => given(error, signal, "waiting", "failed"));
}

/** Found before anything is switched: such a node would be the one that fails a wave half way. */
function heldNode({ name }: Node, hold: UpdateHold): FleetError {
  return new FleetError("updates-held", `${name}: ${describeHold(hold)}`, {
    hint: "hostd unhold on the node lifts it; a rollout of groups that it is not in leaves it out",
  });
}

/** Names the operation by which a node was taken back. */
export function revertOf({ key }: Pick<Node, "key">, operation: number | undefined): string {
  return `${key} ${operation}`;
}

/** Switches a node to the release and follows that to its end; one that runs it already is left as it is. */
export async function switchNode(worker: Worker, node: Node, here: RolloutNode): Promise<Change> {
  const { rollout, signal } = worker;
  const { image } = rollout.release;
  let [asked, begun] = [here.state === "switching", false];
  const attempt = async (): Promise<Change> => {
    const now = await askNode(node, signal, (client) => appOf(client, rollout.file.product));
    const isThere = now?.current?.image === image && now.underWay.length === 0 && now.hold === undefined;
    if (isThere) return { state: "switched" };
    const before = now?.current?.image;
    if (before !== undefined && before !== image && before !== here.before) await worker.remember({ before });
    asked = true;
    const body = { image, requestId: requestId(rollout, "switch") };
    const onBegun = () => {
      begun = true;
    };
    const ended = await driveNode(worker, node, { verb: "activate", body, onBegun });
    if (ended.finished === undefined) return { state: "switching", operation: ended.id };
    return ended.state === "done" ? { state: "switched", operation: ended.id } : failed(ended);
  };
  return await attempt().catch((error: unknown) => {
    const isLost = begun || (asked && !isRefusal(error));
    return given(error, signal, "switching", isLost ? "lost" : "failed");
  });
}

/** Takes a node back to what it ran before. What it runs by now and this rollout did not bring stays. */
export async function revertNode(worker: Worker, node: Node, { before }: RolloutNode): Promise<Change> {
  const { rollout, signal } = worker;
  const attempt = async (): Promise<Change> => {
    const now = (await askNode(node, signal, (client) => appOf(client, rollout.file.product)))?.current;
    if (now?.image === before) return { state: "reverted" };
    if (before === undefined) return { state: "stuck", message: "ran nothing before: there is nothing to go back to" };
    if (now !== undefined && now.image !== rollout.release.image) {
      return {
        state: "stuck",
        message: `runs ${now.version} (${shortDigest(now.image)}), which somebody else brought`,
      };
    }
    const body = { to: hexOf(before), requestId: requestId(rollout, "revert") };
    const ended = await driveNode(worker, node, { verb: "rollback", body });
    if (ended.finished === undefined) return { state: "reverting", operation: ended.id };
    return ended.state === "done" ? { state: "reverted", operation: ended.id } : { ...failed(ended), state: "stuck" };
  };
  return await attempt().catch((error: unknown) => given(error, signal, "reverting", "stuck"));
}

/**
 * Why a node that switched is no longer well; undefined where it runs the release, is healthy, and hostd had neither to
 * start it again nor to stop it since. One that is being judged is waited for.
 */
export async function faultOf(
  { rollout, signal }: Pick<Worker, "rollout" | "signal">,
  node: Node,
  { operation = 0 }: Pick<RolloutNode, "operation">,
): Promise<string | undefined> {
  const { file, release } = rollout;
  const product = file.product;
  for (const since = Date.now(); ; ) {
    try {
      const { app, changes } = await askNode(node, signal, async (client) => ({
        app: await appOf(client, product),
        changes: (await client.changes({ app: product })).changes,
      }));
      const mended = changes.find(({ id, by, kind }) => id > operation && by === "hostd" && MENDING.has(kind));
      if (mended !== undefined) return `hostd had to ${mended.kind} it, ${mended.notes[0] ?? `operation ${mended.id}`}`;
      if (app?.current?.image !== release.image) {
        return `runs ${app?.current?.version ?? "nothing"} by now instead of ${release.version}`;
      }
      if (app.health === "healthy") return undefined;
      if (app.hold !== undefined) return `is kept stopped: ${app.hold}`;
      if (Date.now() > since + PATIENCE[app.health]) return `is ${app.health}${badCheckOf(app)}`;
    } catch (error) {
      return problemOf(error);
    }
    await delay(PAUSE, undefined, { signal }).catch(() => {});
  }
}

/** Operations by which hostd itself mends an app that is not well. */
const MENDING: ReadonlySet<string> = new Set(["restart", "halt", "rollback"]);

/** How long an app may be so before that counts against it: one bad answer makes no version bad. Milliseconds. */
const PATIENCE = { healthy: 0, unhealthy: 15_000, stopped: 0, judging: 120_000, unknown: 120_000 } as const;

/** Between two looks at a node, milliseconds. */
const PAUSE = 1_000;

function badCheckOf({ checks }: AppStatus): string {
  const bad = checks.find(({ ok }) => !ok);
  return bad === undefined ? "" : `: ${bad.detail}`;
}

async function appOf(client: Client, product: string): Promise<AppStatus | undefined> {
  return (await client.status()).apps.find(({ app }) => app === product);
}

/** Has a node do something and follows it to its end; one that does something else to the app is waited for. */
async function driveNode(
  worker: Worker,
  node: Node,
  request: Pick<DriveOptions, "verb" | "body" | "onBegun">,
): Promise<OperationDocument> {
  const { rollout, signal } = worker;
  const { product: app, confirmWithin } = rollout.file;
  const isUpgrade = rollout.host && request.verb !== "stage";
  const given = { node: addressOf(node), app, unattended: true, progress: progressOf(worker, node), signal };
  for (const until = Date.now() + BUSY_LIMIT; ; ) {
    try {
      return await drive({ ...given, ...request, confirmWithin: isUpgrade ? confirmWithin : undefined });
    } catch (error) {
      if (!(error instanceof Failure) || error.outcome !== "busy" || Date.now() > until) throw error;
    }
    await delay(PAUSE, undefined, { signal });
  }
}

/** How long something else on a node may take until a rollout no longer waits for it, milliseconds. */
const BUSY_LIMIT = 20 * 60_000;

function failed(operation: OperationDocument): Change & { state: "failed" } {
  const { message = "failed", hint } = operation.reason ?? {};
  return { state: "failed", operation: operation.id, message: hint === undefined ? message : `${message} (${hint})` };
}

/** The same on each call, and another one for each rollout, whoever's machine it is from. */
function requestId({ id, started }: Rollout, what: string): string {
  return `${id}-${Date.parse(started).toString(36)}-${what}`;
}

/** Nobody asked the node itself. */
const NOT_ASKED: ReadonlySet<string> = new Set(["node-unreachable", "other-node"]);

/** The node's own no: it began nothing. */
function isRefusal(error: unknown): boolean {
  return error instanceof Failure && !isUnreachable(error) && !NOT_ASKED.has(error.code);
}

/** Where the operator left it stays as it was. */
function given(error: unknown, signal: AbortSignal, left: RolloutNode["state"], state: RolloutNode["state"]): Change {
  return signal.aborted ? { state: left } : { state, message: problemOf(error) };
}

function notStaged({ release, file }: Rollout, { name }: Node): FleetError {
  return new FleetError("not-staged", `${name}: expected ${file.product} ${release.version} staged, it has another`, {
    hint: "the channel releases another one meanwhile: a new rollout brings that",
  });
}

function progressOf({ progress }: Worker, { name }: Node): Progress {
  return (event) => progress({ ...event, id: `${name} ${event.id}`, text: `${name}: ${event.text}` });
}
