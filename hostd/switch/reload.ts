import type { Signal } from "../../manifests/app.ts";
import { changedFiles, realFiles, shownFiles } from "../config/files.ts";
import { type Context, launchable, switchOf } from "../operations/context.ts";
import { startGeneration, stopGeneration } from "./launch.ts";
import { runningOf } from "./process.ts";
import { startOld } from "./steps.ts";

/** Gives the running process the files of the new generation, then its signal; one that ended is started with them. */
export async function reload(context: Context): Promise<string> {
  const { to } = switchOf(context);
  const told = await tell(context, to);
  if (told !== undefined) return told;
  await startGeneration(context.engine, context.app, to);
  return "started";
}

/** The same with the old generation's files; what was started as the new generation meanwhile ends. */
export async function reloadOld(context: Context): Promise<void> {
  const { engine, app } = context;
  const { from, to } = switchOf(context);
  if (from === undefined || (await tell(context, from)) !== undefined) return;
  await stopGeneration(engine, app, to);
  await startOld(context);
}

/** The signals that were sent; undefined where no process of the generation lives. */
async function tell(context: Context, number: number): Promise<string | undefined> {
  const { engine, app } = context;
  const living = await runningOf(engine, app, number);
  if (living === undefined) return undefined;
  const { generation, app: declared } = launchable(engine, app, number);
  const basis = engine.journal.generations.config(app, generation.config);
  const files = await realFiles(engine, app, declared.config, basis);
  await engine.node.replaceConfig(app, { process: living.generation, generation: number, files });
  const signals = signalsOf(context);
  for (const signal of signals) await engine.node.signal(app, living.generation, signal);
  return signals.join(", ");
}

/** Each signal once, of those files alone that this operation changes. */
function signalsOf({ engine, app, plan }: Context): Signal[] {
  const { from, to } = plan.switch ?? {};
  const [before, after] = [from, to].map((number) => {
    if (number === undefined) return [];
    const { app: declared, generation } = launchable(engine, app, number);
    const basis = engine.journal.generations.config(app, generation.config);
    return shownFiles(engine, app, declared.config, basis);
  });
  return [...new Set(changedFiles(before ?? [], after ?? []).flatMap(({ reload: signal }) => signal ?? []))];
}
