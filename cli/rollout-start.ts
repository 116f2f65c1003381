import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { FleetError } from "../fleet/error.ts";
import { readInventory, selectNodes } from "../fleet/nodes/inventory.ts";
import { releaseOf } from "../fleet/push/push.ts";
import { readRolloutFile } from "../fleet/rollout/read.ts";
import { createRollout } from "../fleet/rollout/store.ts";
import { assignWaves } from "../fleet/rollout/waves.ts";
import { argument } from "../hostd/verbs/answer.ts";
import type { RolloutNode } from "../manifests/rollout.ts";
import type { Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";
import { goOn } from "./rollout-resume.ts";
import { repositoryOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "rollout start",
  summary: "bring a release to many nodes, wave by wave, and take it back as the file says where it is no good",
  arguments: [{ name: "<file>", summary: "which nodes, which waves, and what then (docs/rollout.md)" }],
  options: [repositoryOption],
  examples: ["ostler rollout start shop.rollout"],
  async run(invocation) {
    const { inventory: inventoryFile, rollouts, repository, trust, by } = fleetOf(invocation);
    const path = argument(invocation, 0);
    const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
      throw new FleetError("rollout-file", `${path}: expected the file of a rollout, got ${cause.code}`, {
        hint: "docs/rollout.md shows one",
        cause,
      });
    });
    const file = readRolloutFile(basename(path), text);
    const nodes = assignWaves(file, selectNodes(await readInventory(inventoryFile), file.nodes));
    const { release, host } = await releaseOf({ repository, trust, ...file, now: () => new Date() });
    const { version, sequence } = release;
    const now = new Date().toISOString();
    const rollout = await createRollout(rollouts, {
      schema: 1,
      by,
      file,
      release: { version, sequence, image: release.image.digest },
      host,
      state: "running",
      at: { wave: 0, phase: "prepare", action: 0, since: now },
      nodes,
      notes: nodes.some(({ wave }) => wave === undefined) ? [{ at: now, text: describeLeftOut(nodes) }] : [],
      started: now,
    });
    return await goOn(invocation, rollout.id);
  },
};

function describeLeftOut(nodes: readonly RolloutNode[]): string {
  const names = nodes.filter(({ wave }) => wave === undefined).map(({ name }) => name);
  return `no wave takes ${names.join(", ")}`;
}
