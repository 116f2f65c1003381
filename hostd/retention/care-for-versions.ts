import { toFailureDocument } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import { forgetGenerations } from "./generations.ts";
import { planPrune, removeUnusedLayers } from "./prune.ts";
import { collectPushed, type Old } from "./pushed.ts";

/**
 * One look at the versions of all apps, to be repeated: collects those beyond retention, as a pin that was lifted or a
 * lower `--keep` leaves them, the layers that nobody needs, config and logs of old generations, and what was pushed and
 * is laid down, or old at the look before this one as well. Answers what is old now. An app that is busy has its turn at
 * the next look.
 */
export async function careForVersions(engine: Engine, before: Old): Promise<Old> {
  const { collected, layers } = await planPrune(engine, engine.settings.keep);
  for (const app of new Set(collected.map((version) => version.app))) {
    try {
      engine.submit.prune({ app, by: "hostd" });
    } catch (error) {
      engine.log("info", "versions not collected yet", { app, ...toFailureDocument(error) });
    }
  }
  const pushed = await collectPushed(engine, before);
  if (pushed.collected.length > 0) engine.log("info", "pushed blobs collected", { blobs: pushed.collected.length });
  if (collected.length === 0 && layers.length > 0) await removeUnusedLayers(engine);
  await forgetGenerations(engine);
  return pushed.old;
}
