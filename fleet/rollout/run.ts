import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { run } from "../../effects/process.ts";
import { parseTime } from "../../manifests/duration.ts";
import type { Inventory, Node } from "../../manifests/inventory.ts";
import type { Action, Rollout, RolloutNode } from "../../manifests/rollout.ts";
import type { ProgressEvent } from "../../terminal/progress.ts";
import { eachOf, problemOf } from "../nodes/ask.ts";
import { afterAction, fail, isOver, nextStep, toRevert, type Work, withNode, withNote } from "./next.ts";
import { headline } from "./show.ts";
import { type Decision, decisionOf, saveRollout } from "./store.ts";
import { mail, post } from "./tell.ts";
import { faultOf, prepareNode, revertNode, switchNode, type Worker } from "./work.ts";

export interface RunOptions extends Omit<Worker, "rollout" | "remember"> {
  /** Where the records of rollouts are. */
  directory: string;
  inventory: Inventory;
}

/** How often a decision is looked for, milliseconds; and how long a program of the operator's may run. */
const LOOK = 1_000;
const PROGRAM_LIMIT = 600_000;

/**
 * Goes on with a rollout until it has ended, or until the signal is aborted: then it stands where its record says, what
 * was begun on nodes goes on there, and another call takes it up again. Its record is on disk before each step.
 */
export async function runRollout(begun: Rollout, options: RunOptions): Promise<Rollout> {
  const { directory, progress, signal } = options;
  const now = () => new Date().toISOString();
  let rollout = begun;
  let saving = Promise.resolve();

  /** One change after the other; the record is durable when this answers. */
  async function update(change: (rollout: Rollout) => Rollout): Promise<void> {
    rollout = change(rollout);
    saving = saving.then(() => saveRollout(directory, rollout));
    await saving;
  }

  async function heedRejection(): Promise<void> {
    const decision = await decisionOf(directory, rollout.id);
    if (decision?.verdict !== "reject" || rollout.at.phase === "failure") return;
    await update((before) => fail(before, rejection(decision), now()));
  }

  /** Works on nodes; a change that a crash must not hide is on record before it is begun. */
  async function workOn(
    nodes: readonly RolloutNode[],
    work: (worker: Worker, node: Node, here: RolloutNode) => Promise<Partial<RolloutNode>>,
    begins: Partial<RolloutNode> | undefined,
    goesOn: (here: RolloutNode) => boolean = () => true,
  ): Promise<void> {
    await eachOf(nodes, rollout.file.parallel, async (here) => {
      if (signal.aborted || !goesOn(here)) return;
      const remember = (change: Partial<RolloutNode>) => update((before) => withNode(before, here.key, change));
      if (begins !== undefined) await remember(begins);
      const node = nodeOf(here);
      const gone = { state: begins?.state === "reverting" ? "stuck" : "failed", message: GONE } as const;
      await remember(node === undefined ? gone : await work({ ...options, rollout, remember }, node, here));
    });
  }

  function nodeOf({ key }: RolloutNode): Node | undefined {
    return options.inventory.nodes.find((node) => node.key === key);
  }

  async function perform(work: Work): Promise<void> {
    if (work.kind === "action") return await act(work.action, work.branch);
    const goesOn = ({ state }: RolloutNode) => state === "switching" || !isOver(rollout);
    if (work.kind === "prepare") return await workOn(work.nodes, prepareNode, undefined, goesOn);
    await workOn(work.nodes, switchNode, { state: "switching" }, goesOn);
  }

  async function act(action: Action, branch: "success" | "failure"): Promise<void> {
    const problem = await outcomeOf(action);
    if (signal.aborted && problem !== undefined) return; // not done to its end: it is done again
    await update((before) => {
      if (problem === undefined) return afterAction(before, now());
      if (branch === "success" && !isNotice(action)) return fail(before, problem, now());
      return afterAction(withNote(before, problem, now()), now());
    });
  }

  /** Undefined where it went well. */
  async function outcomeOf(action: Action): Promise<string | undefined> {
    const { directory: at } = options;
    if (action.mail !== undefined) return await problemIn(mail(rollout, action.mail));
    if (action.webhook !== undefined) return await problemIn(post(rollout, action.webhook));
    if (action.run !== undefined) {
      const env = { ...process.env, OSTLER_ROLLOUT: join(at, rollout.id, "rollout.json") };
      return await problemIn(run(action.run, { env, timeout: PROGRAM_LIMIT, signal }));
    }
    if (action.revert !== undefined) return await revert(action.revert);
    return await untilDecided(action);
  }

  /** Every node is tried; those that could not be taken back are told together. */
  async function revert(scope: "wave" | "rollout"): Promise<string | undefined> {
    const due = toRevert(rollout, scope);
    await workOn(due, revertNode, { state: "reverting" });
    if (signal.aborted && toRevert(rollout, scope).length > 0) return LEFT;
    const stuck = rollout.nodes.filter(({ state }) => state === "stuck");
    return stuck.length === 0 ? undefined : `not taken back: ${stuck.map(({ name }) => name).join(", ")}`;
  }

  /** Waits for a time or for somebody's word; then looks whether all that switched are still well. */
  async function untilDecided({ wait, approve }: Action): Promise<string | undefined> {
    const until = Date.parse(rollout.at.since) + (parseTime(wait ?? approve ?? "") ?? 0);
    for (;;) {
      const decision = await decisionOf(directory, rollout.id);
      if (decision?.verdict === "reject") return rejection(decision);
      const { wave, action } = rollout.at;
      const approved = decision?.wave === wave && decision.action === action && approve !== undefined;
      if (approved || (wait !== undefined && Date.now() >= until)) break;
      if (Date.now() >= until) return `wave ${wave + 1}: nobody approved it within ${approve}`;
      if (signal.aborted) return LEFT;
      await delay(Math.min(LOOK, Math.max(1, until - Date.now())), undefined, { signal }).catch(() => {});
    }
    return await faultsOf();
  }

  async function faultsOf(): Promise<string | undefined> {
    const faults: string[] = [];
    const switched = rollout.nodes.filter(({ state }) => state === "switched");
    await eachOf(switched, rollout.file.parallel, async (here) => {
      const node = nodeOf(here);
      const fault = node === undefined ? GONE : await faultOf({ rollout, signal }, node, here);
      if (fault !== undefined) faults.push(`${here.name}: ${fault}`);
    });
    if (signal.aborted) return LEFT;
    return faults.length === 0 ? undefined : `wave ${rollout.at.wave + 1}: ${faults.join("; ")}`;
  }

  const showing = (state: ProgressEvent["state"]) => progress({ id: "rollout", state, text: headline(rollout) });
  while (!signal.aborted) {
    await heedRejection();
    const step = nextStep(rollout, now());
    if (step === undefined) break;
    showing("started");
    if ("become" in step) await update(() => step.become);
    else await perform(step.work);
  }
  if (rollout.state !== "running") showing(rollout.state);
  return rollout;
}

/** What is said where the operator left before an action was through. */
const LEFT = "left";

const GONE = "is no longer in the inventory";

function rejection({ by, reason }: Decision): string {
  return `rejected by ${by}${reason === undefined ? "" : `: ${reason}`}`;
}

/** Failing to report reverts nothing. */
function isNotice({ mail, webhook }: Action): boolean {
  return mail !== undefined || webhook !== undefined;
}

async function problemIn(work: Promise<unknown>): Promise<string | undefined> {
  return await work.then(
    () => undefined,
    (error: unknown) => problemOf(error),
  );
}
