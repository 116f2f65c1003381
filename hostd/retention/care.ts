import { toFailureDocument } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import { planPrune, removeUnusedLayers } from "./prune.ts";

/**
 * One look at the versions of all apps, to be repeated: collects those beyond retention, as a pin that was lifted or a
 * lower `--keep` leaves them, and the layers that nobody needs. An app that is busy has its turn at the next look.
 */
export async function careForVersions(engine: Engine): Promise<void> {
  const { collected, layers } = await planPrune(engine, engine.settings.keep);
  for (const app of new Set(collected.map((version) => version.app))) {
    try {
      engine.submit.prune({ app, by: "hostd" });
    } catch (error) {
      engine.log("info", "versions not collected yet", { app, ...toFailureDocument(error) });
    }
  }
  if (collected.length === 0 && layers.length > 0) await removeUnusedLayers(engine);
}
