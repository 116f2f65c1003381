import { FleetError } from "../fleet/error.ts";
import { decide, hintForLeft, requireRollout } from "../fleet/rollout/store.ts";
import { argument } from "../hostd/verbs/answer.ts";
import type { Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";
import { stringOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "rollout reject",
  summary: "end a rollout: what is under way on nodes ends first, then its failure branch is taken",
  arguments: [{ name: "<rollout>", summary: "its name: shop-3" }],
  options: [{ flags: "--reason <text>", summary: "why, for its record and its mails" }],
  examples: ['ostler rollout reject shop-3 --reason "checkout is slow"'],
  async run(invocation) {
    const { rollouts, by } = fleetOf(invocation);
    const { id, state, at } = await requireRollout(rollouts, argument(invocation, 0));
    if (state !== "running" || at.phase === "failure") {
      const how = state === "running" ? "takes its failure branch already" : `has ended: ${state}`;
      throw new FleetError("rollout-ended", `rollout ${id} ${how}`, { hint: `ostler rollout status ${id}` });
    }
    const reason = stringOption(invocation.options, "reason");
    const given = reason === undefined ? {} : { reason };
    const { wave, action } = at;
    await decide(rollouts, id, {
      schema: 1,
      verdict: "reject",
      wave,
      action,
      by,
      at: new Date().toISOString(),
      ...given,
    });
    const left = await hintForLeft(rollouts, id);
    return { json: { schema: 1, rollout: id }, text: `rollout ${id}: rejected${left === "" ? "" : `; ${left}`}` };
  },
};
