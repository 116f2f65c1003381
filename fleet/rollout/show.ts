import { shortDigest } from "../../manifests/digest.ts";
import type { Rollout, RolloutNode } from "../../manifests/rollout.ts";
import { type TableOptions, table } from "../../terminal/table.ts";
import { actionsOf } from "./next.ts";

/** How a rollout stands, in one line. */
export function headline(rollout: Rollout): string {
  const { id, file, release } = rollout;
  return `rollout ${id}: ${file.product} ${release.version}: ${standing(rollout)}`;
}

/** For people: one line, why, a line for each wave, a table of the nodes, and what did not go well beside it. */
export function showRollout(rollout: Rollout, options: TableOptions = {}): string {
  const { file, release, reason, notes } = rollout;
  return [
    `${headline(rollout)} (${shortDigest(release.image)}, ${file.channel})`,
    ...(reason === undefined ? [] : [`  why: ${reason}`]),
    ...notes.map(({ text }) => `  note: ${text}`),
    "",
    ...file.waves.flatMap((_, index) => describeWave(rollout, index)),
    "",
    showNodes(rollout, options),
  ].join("\n");
}

function showNodes({ nodes }: Rollout, options: TableOptions): string {
  const rows = nodes.map(({ name, wave, state, operation, message = "" }) => [
    name,
    wave === undefined ? "none" : `wave ${wave + 1}`,
    wave === undefined ? "not in it" : state,
    operation === undefined ? "" : `operation ${operation}`,
    message,
  ]);
  return table(["NODE", "WAVE", "STATE", "ON THE NODE", "WHY"], rows, options);
}

export function showRollouts(rollouts: readonly Rollout[]): string {
  if (rollouts.length === 0) return "no rollouts: ostler rollout start FILE begins one";
  const rows = rollouts.map((rollout) => [
    rollout.id,
    rollout.release.version,
    String(rollout.nodes.length),
    rollout.started,
    standing(rollout),
  ]);
  return table(["ROLLOUT", "VERSION", "NODES", "STARTED", "STATE"], rows);
}

const MARKS: Readonly<Record<RolloutNode["state"], string>> = {
  waiting: "·",
  prepared: "○",
  switching: "◐",
  switched: "●",
  failed: "✗",
  lost: "?",
  reverting: "◑",
  reverted: "↩",
  stuck: "!",
};

/** `wave 1  ●●✗○  2 of 4 switched`. */
function describeWave({ nodes }: Rollout, index: number): string[] {
  const own = nodes.filter(({ wave }) => wave === index);
  if (own.length === 0) return [`wave ${index + 1}  no nodes`];
  const switched = own.filter(({ state }) => state === "switched").length;
  return [`wave ${index + 1}  ${own.map(({ state }) => MARKS[state]).join("")}  ${switched} of ${own.length} switched`];
}

function standing(rollout: Rollout): string {
  const { state, at, file } = rollout;
  const reverted = rollout.nodes.filter((node) => node.state === "reverted").length;
  const failed = rollout.nodes.filter((node) => node.state === "failed" || node.state === "lost").length;
  if (state === "done") return failed === 0 ? "done" : `done, but for ${failed} of ${rollout.nodes.length} nodes`;
  if (state === "failed") return reverted === 0 ? "failed" : `failed, ${reverted} taken back`;
  const wave = `wave ${at.wave + 1} of ${file.waves.length}`;
  if (at.phase === "prepare" || at.phase === "switch") return `${wave}: ${at.phase}`;
  if (at.phase === "failure") return `${wave} failed`;
  const left = actionsOf(rollout, "success").slice(at.action);
  if (left[0]?.wait !== undefined) return `${wave} is good, is watched for ${left[0].wait}`;
  if (!left.some(({ approve }) => approve !== undefined)) return `${wave} is good`;
  return `${wave} is good, waits for ostler rollout approve ${rollout.id}`;
}
