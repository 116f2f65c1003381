import { FleetError } from "../fleet/error.ts";
import { actionsOf } from "../fleet/rollout/next.ts";
import { decide, hintForLeft, requireRollout } from "../fleet/rollout/store.ts";
import { argument } from "../hostd/verbs/answer.ts";
import type { Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";

export const verb: Verb = {
  name: "rollout approve",
  summary: "let a rollout that waits for it go on to its next wave",
  arguments: [{ name: "<rollout>", summary: "its name: shop-3" }],
  examples: ["ostler rollout approve shop-3"],
  async run(invocation) {
    const { rollouts, by } = fleetOf(invocation);
    const rollout = await requireRollout(rollouts, argument(invocation, 0));
    const { id, state, at } = rollout;
    const waits = at.phase === "success" && actionsOf(rollout, "success")[at.action]?.approve !== undefined;
    if (state !== "running" || !waits) {
      throw new FleetError("rollout-ended", `rollout ${id}: expected one that waits for approval, it does not`, {
        hint: `ostler rollout status ${id}`,
      });
    }
    const { wave, action } = at;
    await decide(rollouts, id, { schema: 1, verdict: "approve", wave, action, by, at: new Date().toISOString() });
    const left = await hintForLeft(rollouts, id);
    return {
      json: { schema: 1, rollout: id, wave: wave + 1 },
      text: `rollout ${id}: wave ${wave + 1} approved${left === "" ? "" : `; ${left}`}`,
    };
  },
};
