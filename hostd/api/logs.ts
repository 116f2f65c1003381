import type { LogDocument } from "../../manifests/node.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { GenerationRow } from "../journal/generations.ts";
import { lastRunOf } from "../switch/job.ts";
import { processNumber } from "../switch/process.ts";

/** The end of the log of a generation: the one named, the newest of a version or image, else what runs or, of a job, ran last. */
export async function readLogOf(
  engine: Engine,
  app: string,
  wanted: { generation?: number | undefined; slot?: string | undefined },
): Promise<LogDocument> {
  const { apps, generations } = engine.journal;
  const state = apps.require(app);
  const { slot } = wanted;
  if (wanted.generation !== undefined) generations.require(app, wanted.generation);
  const ofSlot = slot === undefined ? undefined : generations.newestOf(app, slot, digestIn(slot));
  if (slot !== undefined && ofSlot === undefined) {
    throw new HostdError("unknown-image", `no generation of ${app} ran ${slot}`, {
      hint: `hostd status ${app} lists its versions`,
    });
  }
  const generation = wanted.generation ?? ofSlot?.number ?? lastOf(engine, app) ?? state.current;
  const row = generation === undefined ? undefined : generations.get(app, generation);
  const process = generation === undefined ? undefined : await processNumber(engine, app, generation);
  const log = await engine.node.logs(app, process);
  if (log === "" && row !== undefined && row.number !== state.current) await refuseForgotten(engine, row, process);
  return {
    schema: 1,
    app,
    ...(generation === undefined ? {} : { generation }),
    ...(row === undefined ? {} : { version: row.version }),
    log,
  };
}

/** An empty log is of an app that wrote nothing; one that went with its version, or that journald forgot, is said to be gone. */
async function refuseForgotten(
  { node }: Engine,
  { app, number, version, state, operation }: GenerationRow,
  process = number,
): Promise<void> {
  if ((await node.generations(app)).includes(process) && (await node.keepsLog(app, process))) return;
  const verb = state === "failed" ? "failure" : "changes";
  throw new HostdError("unknown-image", `${app} ${version}: the log of generation ${number} is not kept any more`, {
    hint: `hostd ${verb} ${operation} shows what is kept of it`,
  });
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
