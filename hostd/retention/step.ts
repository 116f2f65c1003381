import type { Context } from "../operations/context.ts";
import { prune } from "./prune.ts";

/** The one step of pruning an app; what it may not take is chosen as in staging. */
export async function pruneApp({ engine, id, app, plan }: Context): Promise<string> {
  const collected = await prune(engine, id, app, plan.keep === undefined ? {} : { keep: plan.keep });
  return `${collected.length} versions collected`;
}
