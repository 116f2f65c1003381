import { readInventory } from "../fleet/nodes/inventory.ts";
import { runRollout } from "../fleet/rollout/run.ts";
import { showRollout } from "../fleet/rollout/show.ts";
import { requireRollout, whileRunning } from "../fleet/rollout/store.ts";
import { argument } from "../hostd/verbs/answer.ts";
import { EXIT_CODES } from "../manifests/failure.ts";
import type { Rollout } from "../manifests/rollout.ts";
import type { Answer, Invocation, Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";
import { repositoryOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "rollout resume",
  summary: "go on with a rollout that was left or killed, where it stood",
  arguments: [{ name: "<rollout>", summary: "its name: shop-3" }],
  options: [repositoryOption],
  examples: ["ostler rollout resume shop-3"],
  run: (invocation) => goOn(invocation, argument(invocation, 0)),
};

/** Goes on with a rollout to its end, or until Ctrl-C. */
export async function goOn(invocation: Invocation, id: string): Promise<Answer> {
  const { inventory: file, rollouts: directory, repository, trust } = fleetOf(invocation);
  const { progress, signal } = invocation;
  await requireRollout(directory, id);
  return await whileRunning(directory, id, async () => {
    const inventory = await readInventory(file);
    const options = { directory, inventory, repository, trust, progress, signal };
    return answerOf(await runRollout(await requireRollout(directory, id), options));
  });
}

const CODES = { done: EXIT_CODES.ok, failed: EXIT_CODES.failed, running: EXIT_CODES.left } as const;

function answerOf(rollout: Rollout): Answer {
  const left = rollout.state === "running" ? [`  left: ostler rollout resume ${rollout.id} goes on`] : [];
  return { json: rollout, text: [showRollout(rollout), ...left].join("\n"), exitCode: CODES[rollout.state] };
}
