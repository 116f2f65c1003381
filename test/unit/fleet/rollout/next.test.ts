import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { afterAction, fail, nextStep, toRevert, type Work, withNode } from "../../../../fleet/rollout/next.ts";
import { type Rollout, type RolloutFile, type RolloutNode, rolloutExample } from "../../../../manifests/rollout.ts";

const NOW = "2026-11-28T03:00:00.000Z";

/** A rollout over waves of so many nodes. */
function rolloutOf(sizes: readonly number[], file: Partial<RolloutFile> = {}, tolerate = 0): Rollout {
  const nodes: RolloutNode[] = sizes.flatMap((size, wave) =>
    Array.from({ length: size }, (_, at) => {
      const name = `n-${wave}-${at}`;
      return { name, key: name, wave, state: "waiting" as const };
    }),
  );
  const waves = sizes.map(() => ({ nodes: "rest" as const, tolerate }));
  const all = { ...rolloutExample.file, waves, success: [], failure: [], ...file };
  return { ...rolloutExample, file: all, nodes, at: { wave: 0, phase: "prepare", action: 0, since: NOW } };
}

/** Plays a rollout to its end with what `outcome` says of each node; answers every piece of work, and how it stands then. */
function play(begun: Rollout, outcome: (node: RolloutNode, kind: Work["kind"]) => RolloutNode["state"]) {
  const works: string[] = [];
  let rollout = begun;
  for (let turns = 0; turns < 1_000; turns++) {
    const step = nextStep(rollout, NOW);
    if (step === undefined) return { rollout, works };
    if ("become" in step) rollout = step.become;
    else if (step.work.kind === "action") {
      works.push(JSON.stringify(step.work.action));
      rollout = afterAction(rollout, NOW);
    } else {
      const { kind, nodes } = step.work;
      works.push(`${kind} ${nodes.map(({ name }) => name).join(" ")}`);
      for (const node of nodes) rollout = withNode(rollout, node.key, { state: outcome(node, kind) });
    }
  }
  throw new Error("expected an end");
}

const good = (_: RolloutNode, kind: Work["kind"]) => (kind === "prepare" ? "prepared" : "switched");

describe("nextStep", () => {
  test("prepares a wave, switches it, goes through its success branch, and only then begins the next", () => {
    const begun = rolloutOf([1, 2], { success: [{ wait: "10m" }] });
    const { rollout, works } = play(begun, good);
    expect(works).toEqual([
      "prepare n-0-0",
      "switch n-0-0",
      '{"wait":"10m"}',
      "prepare n-1-0 n-1-1",
      "switch n-1-0 n-1-1",
      '{"wait":"10m"}',
    ]);
    expect(rollout).toMatchObject({ state: "done", finished: NOW });
  });

  test("prepares every node of the rollout first where that is asked for", () => {
    expect(play(rolloutOf([1, 2], { prepare: "all" }), good).works[0]).toBe("prepare n-0-0 n-1-0 n-1-1");
  });

  test("none switches where one cannot be prepared", () => {
    const { rollout, works } = play(rolloutOf([2], { failure: [{ revert: "wave" }] }), ({ name }) =>
      name === "n-0-1" ? "failed" : "prepared",
    );
    expect(works).toEqual(["prepare n-0-0 n-0-1", '{"revert":"wave"}']);
    expect(rollout).toMatchObject({ state: "failed", reason: "wave 1: n-0-1" });
  });

  test("a failed node that is tolerated holds nobody up, one more ends it", () => {
    const one = ({ name }: RolloutNode, kind: Work["kind"]) => (name === "n-0-0" ? "failed" : good({} as never, kind));
    expect(play(rolloutOf([3, 1], {}, 1), one).rollout.state).toBe("done");
    const two = ({ name, wave }: RolloutNode, kind: Work["kind"]) =>
      wave === 0 && name !== "n-0-2" ? "failed" : good({} as never, kind);
    const { rollout } = play(rolloutOf([3, 1], {}, 1), two);
    expect(rollout).toMatchObject({ state: "failed", reason: "wave 1 (2 failed, 1 tolerated): n-0-0; n-0-1" });
    expect(rollout.nodes.at(-1)?.state).toBe("waiting");
  });

  test("what was begun is followed to its end although the wave has failed, and nothing more is begun", () => {
    let rollout = { ...rolloutOf([3]), at: { wave: 0, phase: "switch" as const, action: 0, since: NOW } } as Rollout;
    rollout = withNode(rollout, "n-0-0", { state: "failed" });
    rollout = withNode(rollout, "n-0-1", { state: "switching" });
    rollout = withNode(rollout, "n-0-2", { state: "prepared" });
    expect(nextStep(rollout, NOW)).toMatchObject({ work: { kind: "switch", nodes: [{ name: "n-0-1" }] } });
    const ended = nextStep(withNode(rollout, "n-0-1", { state: "switched" }), NOW);
    expect(ended).toMatchObject({ become: { at: { phase: "failure", action: 0 } } });
  });

  test("a wave without nodes has its success branch alone: no approval and no mail is passed over", () => {
    const { works } = play(rolloutOf([0, 1, 0], { success: [{ approve: "1h" }] }), good);
    const approve = '{"approve":"1h"}';
    expect(works).toEqual([approve, "prepare n-1-0", "switch n-1-0", approve, approve]);
  });

  test("many failed nodes are told in few words", () => {
    const { rollout } = play(rolloutOf([64]), () => "failed");
    expect(rollout.reason).toBe("wave 1: n-0-0; n-0-1; n-0-2; and 61 more");
  });

  test("whatever nodes answer it ends, and no node switches before all before it have", () => {
    const answers = fc.array(fc.constantFrom("failed", "lost", "good"), { minLength: 40, maxLength: 40 });
    const sizes = fc
      .array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 5 })
      .filter((all) => all.some((size) => size > 0));
    fc.assert(
      fc.property(
        sizes,
        answers,
        fc.constantFrom("wave", "all"),
        fc.integer({ min: 0, max: 2 }),
        (waves, said, prepare, tolerate) => {
          const begun = rolloutOf(waves, { prepare }, tolerate);
          let turn = 0;
          const { rollout } = play(begun, (node, kind) => {
            const answer = said[turn++ % said.length] ?? "good";
            return answer === "good" ? good(node, kind) : (answer as RolloutNode["state"]);
          });
          expect(["done", "failed"]).toContain(rollout.state);
          const switched = rollout.nodes.filter(({ state }) => state === "switched").map(({ wave = 0 }) => wave);
          const behind = rollout.nodes.filter(
            ({ state, wave = 0 }) => (state === "waiting" || state === "prepared") && wave < Math.max(-1, ...switched),
          );
          expect(behind).toEqual([]);
        },
      ),
    );
  });
});

test("a failure is taken once: what fails in its own branch does not begin it again", () => {
  const failed = fail(rolloutOf([1]), "first", NOW);
  expect(failed).toMatchObject({ reason: "first", at: { phase: "failure" } });
  expect(fail(failed, "second", NOW)).toBe(failed);
});

test("a revert takes what switched or may have, of the wave or of all, and no node that ran the version before", () => {
  let rollout = rolloutOf([2, 2]);
  rollout = withNode(rollout, "n-0-0", { state: "switched" });
  rollout = withNode(rollout, "n-0-1", { state: "switched", before: rollout.release.image });
  rollout = withNode(rollout, "n-1-0", { state: "lost" });
  rollout = withNode({ ...rollout, at: { ...rollout.at, wave: 1 } }, "n-1-1", { state: "failed" });
  expect(toRevert(rollout, "wave").map(({ name }) => name)).toEqual(["n-1-0"]);
  expect(toRevert(rollout, "rollout").map(({ name }) => name)).toEqual(["n-0-0", "n-1-0"]);
});
