import type { LogDocument } from "../../manifests/node.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { lastRunOf } from "../switch/job.ts";
import { processNumber } from "../switch/process.ts";

/** The end of the log of a generation: the one named, the newest of a version or image, else what runs or, of a job, ran last. */
export async function readLogOf(
  engine: Engine,
  app: string,
  wanted: { generation?: number | undefined; slot?: string | undefined },
): Promise<LogDocument> {
  const { apps, generations } = engine.journal;
  const state = apps.get(app);
  if (state === undefined) {
    throw new HostdError("unknown-app", `no app ${JSON.stringify(app)} on this node`, { hint: "hostd status" });
  }
  const { slot } = wanted;
  if (wanted.generation !== undefined) generations.require(app, wanted.generation);
  const ofSlot = slot === undefined ? undefined : generations.newestOf(app, slot, digestIn(slot));
  if (slot !== undefined && ofSlot === undefined) {
    throw new HostdError("unknown-image", `no generation of ${app} ran ${slot}`, {
      hint: `hostd status ${app} lists its versions`,
    });
  }
  const generation = wanted.generation ?? ofSlot?.number ?? lastOf(engine, app) ?? state.current;
  const version = generation === undefined ? undefined : generations.get(app, generation)?.version;
  return {
    schema: 1,
    app,
    ...(generation === undefined ? {} : { generation }),
    ...(version === undefined ? {} : { version }),
    log: await engine.node.logs(
      app,
      generation === undefined ? undefined : await processNumber(engine, app, generation),
    ),
  };
}

/** A job's last run, where it has not become the current generation since it failed. */
function lastOf(engine: Engine, app: string): number | undefined {
  const generation = lastRunOf(engine, app)?.generation;
  return generation !== undefined && generation > (engine.journal.apps.get(app)?.current ?? 0) ? generation : undefined;
}

/** The digest that a word is, or is the beginning of: six digits at least. */
function digestIn(word: string): string | undefined {
  const hex = word.replace(/^sha256:/, "");
  return hex.length >= 6 ? `sha256:${hex}` : undefined;
}
