import { showRollout, showRollouts } from "../fleet/rollout/show.ts";
import { hintForLeft, listRollouts, requireRollout } from "../fleet/rollout/store.ts";
import { text } from "../hostd/verbs/answer.ts";
import { EXIT_CODES } from "../manifests/failure.ts";
import type { Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";

export const verb: Verb = {
  name: "rollout status",
  summary: "how a rollout stands, node by node; or all that there were",
  arguments: [{ name: "[rollout]", summary: "its name: shop-3" }],
  examples: ["ostler rollout status", "ostler rollout status shop-3 --json"],
  async run(invocation) {
    const { rollouts } = fleetOf(invocation);
    const id = text(invocation.arguments[0]);
    if (id !== undefined) {
      const rollout = await requireRollout(rollouts, id);
      const left = rollout.state === "running" ? await hintForLeft(rollouts, id) : "";
      const active = rollout.state === "running" && left === "";
      return { json: { ...rollout, active }, text: `${showRollout(rollout)}\n${left}`.trimEnd() };
    }
    const all = await listRollouts(rollouts);
    const damaged = all.damaged.map(({ id: name, problem }) => ({ id: name, problem: problem.message }));
    const lines = all.damaged.map(({ problem }) => `\n${problem.message}\n  hint: ${problem.hint}`);
    return {
      json: { schema: 1, rollouts: all.rollouts, damaged },
      text: [showRollouts(all.rollouts), ...lines].join(""),
      exitCode: damaged.length === 0 ? EXIT_CODES.ok : EXIT_CODES.failed,
    };
  },
};
