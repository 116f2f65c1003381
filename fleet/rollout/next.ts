import type { Action, Phase, Rollout, RolloutNode, Wave } from "../../manifests/rollout.ts";

// What a rollout does next, as values. Between any two steps its record is on disk: whoever reads it goes on there.

/** Something to do to nodes, all of them before the next step, or one action of a branch. */
export type Work =
  | { kind: "prepare" | "switch"; nodes: RolloutNode[] }
  | { kind: "action"; action: Action; branch: "success" | "failure" };

export type Step = { work: Work } | { become: Rollout };

/**
 * The next step; undefined once it has ended. A wave is prepared on all its nodes before one of them switches, and none
 * of the next is touched before all of this one have switched and its success branch is through. One node more than
 * is tolerated, and the wave's failure branch is what is left to do. A wave without nodes has its success branch alone.
 */
export function nextStep(rollout: Rollout, now: string): Step | undefined {
  if (rollout.state !== "running") return undefined;
  const { phase, action } = rollout.at;
  if (phase === "prepare" || phase === "switch") return stepOfWave(rollout, phase, now);
  const next = actionsOf(rollout, phase)[action];
  if (next !== undefined) return { work: { kind: "action", action: next, branch: phase } };
  if (phase === "failure") return { become: { ...rollout, state: "failed", finished: now } };
  const wave = rollout.at.wave + 1;
  if (wave === rollout.file.waves.length) return { become: { ...rollout, state: "done", finished: now } };
  return { become: enter(rollout, "prepare", now, wave) };
}

function stepOfWave(rollout: Rollout, phase: "prepare" | "switch", now: string): Step {
  const failed = failedOf(rollout);
  const over = isOver(rollout);
  const due = phase === "prepare" ? toPrepare(rollout) : toSwitch(rollout);
  // What was begun is followed to its end in any case; nothing more is begun.
  const left = over ? due.filter(({ state }) => state === "switching") : due;
  if (left.length > 0) return { work: { kind: phase, nodes: left } };
  if (over) return { become: fail(rollout, describeFailed(rollout, failed), now) };
  return { become: enter(rollout, phase === "prepare" ? "switch" : "success", now) };
}

/** Whether more nodes failed than the wave tolerates. */
export function isOver(rollout: Rollout): boolean {
  return failedOf(rollout).length > waveOf(rollout).tolerate;
}

/** Takes the failure branch of the wave it is in; one that is in it already stays there. */
export function fail(rollout: Rollout, reason: string, now: string): Rollout {
  if (rollout.at.phase === "failure") return rollout;
  return { ...enter(rollout, "failure", now), reason };
}

/** After an action of a branch: the next one. */
export function afterAction(rollout: Rollout, now: string): Rollout {
  return { ...rollout, at: { ...rollout.at, action: rollout.at.action + 1, since: now } };
}

export function withNode(rollout: Rollout, key: string, change: Partial<RolloutNode>): Rollout {
  return { ...rollout, nodes: rollout.nodes.map((node) => (node.key === key ? { ...node, ...change } : node)) };
}

export function withNote(rollout: Rollout, text: string, now: string): Rollout {
  return { ...rollout, notes: [...rollout.notes, { at: now, text }] };
}

/** The nodes that a revert takes back: of the wave, or of the rollout as far as it came; none that ran the version before. */
export function toRevert({ nodes, at, release }: Rollout, scope: "wave" | "rollout"): RolloutNode[] {
  return nodes.filter(
    ({ wave, state, before }) =>
      before !== release.image && (scope === "rollout" || wave === at.wave) && REVERTIBLE.has(state),
  );
}

const REVERTIBLE: ReadonlySet<RolloutNode["state"]> = new Set(["switching", "switched", "lost", "reverting"]);

/** The wave it is in. */
function waveOf({ file, at }: Rollout): Wave {
  const wave = file.waves[at.wave];
  if (wave === undefined) throw new RangeError(`expected wave ${at.wave} of ${file.waves.length}`);
  return wave;
}

export function actionsOf(rollout: Rollout, branch: "success" | "failure"): readonly Action[] {
  return waveOf(rollout)[branch] ?? rollout.file[branch];
}

function toPrepare({ nodes, at, file }: Rollout): RolloutNode[] {
  return nodes.filter(
    ({ wave, state }) => state === "waiting" && wave !== undefined && (wave === at.wave || file.prepare === "all"),
  );
}

function toSwitch({ nodes, at }: Rollout): RolloutNode[] {
  return nodes.filter(({ wave, state }) => wave === at.wave && (state === "prepared" || state === "switching"));
}

/** What counts against the wave; where everything is prepared first, what could not be of later ones does too. */
function failedOf({ nodes, at, file }: Rollout): RolloutNode[] {
  const counts = ({ wave }: RolloutNode) => wave === at.wave || (file.prepare === "all" && at.phase === "prepare");
  return nodes.filter((node) => counts(node) && (node.state === "failed" || node.state === "lost"));
}

function enter(rollout: Rollout, phase: Phase, since: string, wave = rollout.at.wave): Rollout {
  return { ...rollout, at: { wave, phase, action: 0, since } };
}

/** Failed nodes that are told with their reasons where a wave failed; the table has all. */
const SHOWN = 3;

function describeFailed(rollout: Rollout, failed: readonly RolloutNode[]): string {
  const { tolerate } = waveOf(rollout);
  const shown = failed.slice(0, SHOWN);
  const names = shown.map(({ name, message }) => (message === undefined ? name : `${name}: ${message}`));
  if (failed.length > shown.length) names.push(`and ${failed.length - shown.length} more`);
  const tolerated = tolerate === 0 ? "" : ` (${failed.length} failed, ${tolerate} tolerated)`;
  return `wave ${rollout.at.wave + 1}${tolerated}: ${names.join("; ")}`;
}
