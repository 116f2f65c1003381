import { readInventory } from "../fleet/nodes/inventory.ts";
import { sweepSessions } from "../fleet/push/session.ts";
import { runRollout } from "../fleet/rollout/run.ts";
import { showRollout } from "../fleet/rollout/show.ts";
import { listRollouts, requireRollout, whileRunning } from "../fleet/rollout/store.ts";
import { revertOf } from "../fleet/rollout/work.ts";
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
    await sweepSessions();
    const rollout = await requireRollout(directory, id);
    const reverts = revertsOf((await listRollouts(directory)).rollouts, rollout);
    return answerOf(await runRollout(rollout, { directory, inventory, repository, trust, reverts, progress, signal }));
  });
}

/** How earlier rollouts took nodes back from the same image. */
function revertsOf(rollouts: readonly Rollout[], { release }: Rollout): Set<string> {
  const same = rollouts.filter((one) => one.release.image === release.image);
  const nodes = same.flatMap((one) => one.nodes).filter(({ state }) => state === "reverted");
  return new Set(nodes.map((node) => revertOf(node, node.operation)));
}

const CODES = { done: EXIT_CODES.ok, failed: EXIT_CODES.failed, running: EXIT_CODES.left } as const;

function answerOf(rollout: Rollout): Answer {
  const left = rollout.state === "running" ? [`  left: ostler rollout resume ${rollout.id} goes on`] : [];
  return { json: rollout, text: [showRollout(rollout), ...left].join("\n"), exitCode: CODES[rollout.state] };
}
