import { type FailureDocument, toFailureDocument } from "../../manifests/failure.ts";
import { isUpgrade } from "../states.ts";
import { closeTrial, pointBack } from "../switch/steps.ts";
import { type Context, switchOf } from "./context.ts";
import { givenUp } from "./itself.ts";

/** How often an operation's way back may be begun: hostd ended in the middle of all those before. */
export const MOST_RETURNS = 6;

/** Whether hostd ended so often while it took this operation back that another try would only end it again. */
export function mustGiveUp(context: Context): boolean {
  if (context.plan.switch === undefined || isUpgrade(context.kind)) return false;
  const events = context.engine.journal.events.of(context.id);
  const since = events.findLastIndex(({ kind }) => kind === "operation.reverting");
  if (since === -1) return false;
  return events.slice(since).filter(({ kind }) => kind === "operation.resumed").length >= MOST_RETURNS;
}

/**
 * The third tier for an undo that cannot be had: one write says what is true, the app is held and the operation is
 * over, so that the next start begins nothing of it. Sockets, slots, snapshots and the data as it is now are kept.
 */
export function recordGivenUp(context: Context, reason: FailureDocument, why: string): void {
  const { id, app } = context;
  const { journal } = context.engine;
  const { from, to } = switchOf(context);
  const held = givenUp(id, why);
  journal.transaction(() => {
    if (from !== to) {
      closeTrial(context);
      pointBack(context);
    }
    journal.apps.hold(id, app, held);
    context.note(`${held}; ${app} is stopped and held, its data is as the last try left it`);
    journal.operations.fail(id, { reason, reverted: false });
  });
}

/** Only then its processes are stopped. hostd itself goes on serving. */
export async function stopGivenUp(context: Context): Promise<void> {
  const { engine, id, app } = context;
  const { node, log } = engine;
  const { from, to } = switchOf(context);
  log("error", "gave up taking an operation back", { operation: id, app, held: engine.journal.apps.get(app)?.hold });
  for (const generation of new Set([to, from])) {
    if (generation === undefined) continue;
    await node.stop(app, generation, 0).catch((error: unknown) => {
      log("error", "app not stopped", { app, generation, ...toFailureDocument(error) });
    });
  }
  engine.watch.follow(app);
}
