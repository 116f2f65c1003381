import { toFailureDocument } from "../../manifests/failure.ts";
import { passGate } from "../checks/gate.ts";
import { changedFiles, realFiles, shownFiles } from "../config/files.ts";
import type { Rendered } from "../config/render.ts";
import { HostdError } from "../error.ts";
import { type Context, launchable, switchOf } from "../operations/context.ts";
import { noteConfig } from "../switch/note-config.ts";
import { closeTrial } from "../switch/steps.ts";
import { judgeHost } from "./gates.ts";
import { hostOf, requireBoot } from "./host.ts";

// The host's own config as an axis of its own: files of /etc that its image makes from CONFIG are replaced while it
// runs, both in what is declared for the next boot and in what is seen now, and the units that read them are told.

/** Refuses where a file that changes was changed by hand: whoever did that would lose it without a word. */
export async function drift(context: Context): Promise<string> {
  const { engine } = context;
  const { machine, etc } = hostOf(engine);
  const { image, version } = switchOf(context);
  const slot = engine.journal.slots.require(context.app, image);
  if (requireBoot(slot).root !== machine.booted) {
    throw new HostdError(
      "not-proven",
      `expected ${version} to run, which this config is for: another system is booted`,
      {
        hint: "a reboot leads back to the last good system",
      },
    );
  }
  const paths = changed(context).map(({ path }) => path);
  const lost = await etc.changedByHand(machine.booted, paths);
  if (lost.length === 0) return paths.join(", ");
  throw new HostdError("not-allowed", `changed by hand on this node, and config would replace it: ${lost.join(", ")}`, {
    hint: "put the change into a layer (hostd config set) and move the file away",
  });
}

export async function declare(context: Context): Promise<string> {
  noteConfig(context);
  const units = await put(context, switchOf(context).config);
  for (const unit of units) await hostOf(context.engine).machine.tellUnit(unit, context.signal);
  for (const { path, unit } of changed(context)) {
    context.note(
      unit === undefined ? `${path}: what reads it once has it after the next reboot` : `${path}: told ${unit}`,
    );
  }
  return units.join(", ");
}

/** The old files again, and the units told once more; one that cannot be told is said, and is for the judge to see. */
export async function declareOld(context: Context): Promise<void> {
  const { from } = switchOf(context);
  if (from !== undefined) {
    for (const unit of await put(context, launchable(context.engine, context.app, from).generation.config)) {
      await hostOf(context.engine)
        .machine.tellUnit(unit)
        .catch((error: unknown) => context.note(`${unit} was not told: ${toFailureDocument(error).message}`));
    }
  }
  closeTrial(context);
}

/** Writes the files that change as a version of the config has them; answers the units that read them. */
async function put(context: Context, version: number): Promise<string[]> {
  const { engine, app } = context;
  const { machine, etc } = hostOf(engine);
  const paths = changed(context).map(({ path }) => path);
  const files = await realFiles(engine, app, declaredFiles(context), basisOf(context, version));
  const wanted = files.filter(({ path }) => paths.includes(path));
  await etc.replace(machine.booted, wanted);
  return [...new Set(wanted.flatMap(({ unit }) => unit ?? []))];
}

/** The system is judged as after a boot: by its image's checks, then by the host's own scripts. */
export async function checks(context: Context): Promise<string> {
  const verdict = await judgeHost(context, switchOf(context).image, context.signal);
  if (verdict.state === "pending") context.signal.throwIfAborted();
  if (verdict.state === "healthy") {
    await passGate(context);
    return verdict.detail;
  }
  throw new HostdError("unhealthy", `${context.app} with config ${switchOf(context).config}: ${verdict.detail}`, {
    hint: `hostd failure ${context.id} shows its check results`,
  });
}

/** As anybody may see them. */
function changed(context: Context): Rendered[] {
  const { engine, app } = context;
  const { from, config } = switchOf(context);
  if (from === undefined) return [];
  const [old, now] = [launchable(engine, app, from).generation.config, config].map((version) =>
    shownFiles(engine, app, declaredFiles(context), basisOf(context, version)),
  );
  return changedFiles(old ?? [], now ?? []);
}

function declaredFiles({ engine, app, plan }: Context) {
  const from = plan.switch?.from;
  return from === undefined ? [] : launchable(engine, app, from).app.config;
}

function basisOf({ engine, app }: Context, version: number) {
  return engine.journal.generations.config(app, version);
}
