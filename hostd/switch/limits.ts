import type { Limits } from "../../manifests/app.ts";
import type { LimitDocument } from "../../manifests/node.ts";
import type { Engine } from "../engine.ts";
import { launchable } from "../operations/context.ts";
import { processNumber } from "./process.ts";

/** What an image declares against what the kernel holds its living process to; nothing where it declares none, or none lives. */
export async function limitsOf(engine: Engine, app: string, number: number): Promise<LimitDocument[]> {
  const declared = launchable(engine, app, number).app.limits;
  if (declared === undefined) return [];
  return compareLimits(declared, await engine.node.limitsInForce(app, await processNumber(engine, app, number)));
}

/** A limit is held where what is in force is no more than what was declared; of what has ended, nothing can be said. */
export function compareLimits(declared: Limits, inForce: Limits | undefined): LimitDocument[] {
  if (inForce === undefined) return [];
  const names = Object.keys(declared) as (keyof Limits)[];
  return names.flatMap((limit) => {
    const [wanted, found] = [declared[limit], inForce[limit]];
    if (wanted === undefined) return [];
    const held = found !== undefined && found <= wanted;
    return [{ limit, declared: wanted, ...(found === undefined ? {} : { inForce: found }), held }];
  });
}

/** One line for each limit that this node does not hold. */
export function describeUnheld(limits: readonly LimitDocument[]): string[] {
  return limits
    .filter(({ held }) => !held)
    .map(({ limit, declared, inForce }) => {
      const now = inForce === undefined ? "no limit" : String(inForce);
      return `limit ${limit}=${declared} is not held on this node: ${now} is in force`;
    });
}
