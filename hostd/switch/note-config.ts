import { toFailureDocument } from "../../manifests/failure.ts";
import { diffFiles, shownFiles } from "../config/files.ts";
import type { Rendered } from "../config/render.ts";
import { type Context, type Launchable, launchable, switchOf } from "../operations/context.ts";
import { requireApp } from "./plan.ts";

/** Lines of a difference that the history keeps; `hostd config diff` shows it whole before the switch. */
const SHOWN = 40;

/** Says before a switch what it changes in the app's files; a secret is named, never shown. */
export function noteConfig(context: Context): void {
  const { engine, app } = context;
  const { from, image, config } = switchOf(context);
  if (from === undefined) return;
  const { generations, slots } = engine.journal;
  const old = launchable(engine, app, from);
  const before = shownBefore(context, old);
  if (before === undefined) return;
  const after = shownFiles(engine, app, requireApp(slots.require(app, image)).config, generations.config(app, config));
  const lines = diffFiles(before, after).flatMap((diff) => diff.split("\n"));
  if (lines.length === 0) return;
  const rest = lines.length > SHOWN ? [`... and ${lines.length - SHOWN} lines more`] : [];
  context.note([`config ${old.generation.config} → ${config}:`, ...lines.slice(0, SHOWN), ...rest].join("\n"));
}

/** What is left may be what cannot be rendered any more: that is no reason to stay with it. */
function shownBefore(context: Context, { app: { config }, generation }: Launchable): Rendered[] | undefined {
  const { engine, app } = context;
  try {
    return shownFiles(engine, app, config, engine.journal.generations.config(app, generation.config));
  } catch (error) {
    context.note(`changes of config are not shown: ${toFailureDocument(error).message}`);
    return undefined;
  }
}
