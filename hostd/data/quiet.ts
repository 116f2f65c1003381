import { toFailureDocument } from "../../manifests/failure.ts";
import type { Consistency } from "../../manifests/snapshot.ts";
import { type Context, launchable, switchOf } from "../operations/context.ts";
import { runHook } from "../switch/hooks.ts";
import { stopGeneration } from "../switch/launch.ts";
import { runningOf } from "../switch/process.ts";
import { startOld, stop } from "../switch/steps.ts";

/**
 * Brings the app to write nothing while its data is copied: by its QUIESCE hook where it has one and runs, else by
 * stopping it. The way is in the journal before it is gone, so that a crash knows what to take back.
 */
export async function quiet(context: Context): Promise<string> {
  const { engine, app } = context;
  const { from } = switchOf(context);
  engine.watch.leave(app);
  if (from !== undefined && (await mayQuiesce(context, from))) {
    decide(context, "quiesced");
    try {
      await runHook(context, from, "quiesce", "hook-failed");
      return "quiesced";
    } catch (error) {
      context.signal.throwIfAborted();
      context.note(`stopped the app for the snapshot: ${toFailureDocument(error).message}`);
      await resume(context, from);
    }
  }
  decide(context, "stopped");
  await stop(context);
  return "stopped";
}

/** Lets the app go on, whatever became of the snapshot: by its RESUME hook; where that fails it is started anew. */
export async function goOn(context: Context): Promise<void> {
  const { engine, app } = context;
  const { from, consistency } = switchOf(context);
  if (from !== undefined && consistency === "quiesced" && (await runningOf(engine, app, from)) !== undefined) {
    if (!(await resume(context, from))) {
      await stopGeneration(engine, app, from);
      context.note("started the app anew, since it could not be resumed");
    }
  }
  await startOld(context);
}

async function mayQuiesce({ engine, app }: Context, from: number): Promise<boolean> {
  const declared = launchable(engine, app, from).app.hooks.quiesce !== undefined;
  return declared && (await runningOf(engine, app, from)) !== undefined;
}

/** Says whether it worked; an image without RESUME needs none. */
async function resume(context: Context, from: number): Promise<boolean> {
  try {
    await runHook(context, from, "resume", "hook-failed");
    return true;
  } catch (error) {
    context.signal.throwIfAborted();
    context.note(toFailureDocument(error).message);
    return false;
  }
}

function decide(context: Context, consistency: Consistency): void {
  context.savePlan({ switch: { ...switchOf(context), consistency } });
}
