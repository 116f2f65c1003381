import { stopSignalOf } from "../../manifests/image.ts";
import { realFiles } from "../config/files.ts";
import { isAtFault } from "../health/decide.ts";
import { type Context, END, launchable, switchOf } from "../operations/context.ts";
import { hasData, mountTried, startGeneration, stopGeneration } from "./launch.ts";
import { runningOf } from "./process.ts";

// The steps of a restart, a start and a stop: what is current stays so.

/** What keeps an app from being started again keeps it from being stopped. */
export async function sound(context: Context): Promise<string | undefined> {
  const { engine, app } = context;
  const { config, to } = switchOf(context);
  const { slot, app: declared } = launchable(engine, app, to);
  if (context.plan.unlessRunning === true && (await runningOf(engine, app, to)) !== undefined) {
    context.note(`${slot.version} runs already`);
    return END;
  }
  await realFiles(engine, app, declared.config, engine.journal.generations.config(app, config));
  if (declared.data.length > 0) await hasData(engine, app);
  await mountTried(engine, app, slot.image);
  return undefined;
}

/** A restart is the second of the three tiers: an app that was good and turned sick gets one. What was kept stopped is so no more. */
export async function bounce(context: Context): Promise<void> {
  const { engine, app } = context;
  const { to, hold } = switchOf(context);
  engine.watch.leave(app);
  const running = await runningOf(engine, app, to);
  if (running !== undefined) await endGeneration(context, to);
  engine.board.clear(app);
  if (hold !== undefined) engine.journal.apps.hold(context.id, app, undefined);
  await startGeneration(engine, app, to);
}

/**
 * What does not come back is stopped and held. Whether it does was not found out where the restart was aborted: it is as
 * it was. Where the node hindered it, it is stopped, and the watch tries again, unless it was kept stopped before.
 */
export async function endBounce(context: Context): Promise<void> {
  const { engine, app, failure } = context;
  const { to, hold } = switchOf(context);
  if (isAtFault(failure)) return await halt(context);
  if (failure === "aborted" && hold === undefined) return await startGeneration(engine, app, to);
  await endGeneration(context, to);
  if (hold !== undefined) return engine.journal.apps.hold(context.id, app, hold);
  const isTried = engine.settings.onSick !== "report";
  context.note(`${app} is stopped until it can be started again${isTried ? ", which is tried by itself" : ""}`);
}

/** The third tier, or what somebody asked for: stop the app, keep everything else, say so. */
export async function halt(context: Context): Promise<void> {
  const { engine, app } = context;
  engine.watch.leave(app);
  await endGeneration(context, switchOf(context).to);
  engine.board.clear(app);
  const failure = engine.journal.operations.get(context.id)?.reason?.message;
  const reason = failure === undefined ? (context.plan.cause ?? "stopped") : `sick after a restart: ${failure}`;
  engine.journal.apps.hold(context.id, app, reason);
  context.note(`stopped ${app}: ${reason}; its data, slots and sockets are kept`);
}

/** Stops a generation; that it had to be killed is told. */
export async function endGeneration(context: Context, number: number): Promise<void> {
  const { engine, app } = context;
  const { app: declared, slot } = launchable(engine, app, number);
  const begun = engine.clock.now();
  await stopGeneration(engine, app, number);
  if (engine.clock.now() - begun < declared.stopTimeout) return;
  context.note(
    `${slot.version} did not end within ${declared.stopTimeout} ms of ${stopSignalOf(slot.config).name}: it was killed`,
  );
}
