import { setTimeout as delay } from "node:timers/promises";
import type { OperationDocument } from "../../manifests/node.ts";
import { table } from "../../terminal/table.ts";
import { versionOf } from "./crash.ts";
import type { DiskKind } from "./disk.ts";
import { prepareNode } from "./matrix.ts";
import { ANSWER_LIMIT, eventually, type Rig, withRig } from "./rig.ts";
import { wrongJournal, wrongWith } from "./whole.ts";

/** What ends the node in a round, and what it was doing. */
const STRIKES = ["kill", "cut"] as const;
const DEEDS = ["activate", "rollback", "deploy good", "deploy sick", "snapshot"] as const;
type Strike = (typeof STRIKES)[number];
type Deed = (typeof DEEDS)[number];

/** A round after which the node is not at rest within this is given up with everything after it, milliseconds. */
const ROUND_LIMIT = 90_000;

export interface Torture {
  rounds: number;
  seed: number;
  disk: DiskKind;
  /** Only this instead of both in turn. */
  strike?: Strike | undefined;
  say(text: string): void;
}

interface Round {
  strike: Strike;
  deed: Deed;
  outcome: "old" | "new";
  wrong: string[];
  took: number;
}

/**
 * Ends the node at random moments of its deeds, uniform over each deed's measured time, while a client writes records;
 * after each the node must be whole. The seed decides deeds and moments.
 */
export async function torture(options: Torture): Promise<{ rounds: Round[]; violations: string[] }> {
  const random = randomFrom(options.seed);
  const rounds: Round[] = [];
  const violations: string[] = [];
  options.say(`seed ${options.seed}, ${options.rounds} rounds on ${options.disk}`);
  await withRig(
    async (rig) => {
      await prepareNode(rig);
      const node = { rig, random, acknowledged: [] as string[], version: 2 };
      const takes = await measure(node);
      for (let number = 1; number <= options.rounds; number++) {
        const strike = options.strike ?? STRIKES[number % 2] ?? "kill";
        const deed = DEEDS[Math.floor(random() * DEEDS.length)] ?? "activate";
        const after = Math.round(random() * takes[deed]);
        const plan = { strike, deed, after };
        const round = await withLimit(playRound(node, plan)).catch((error: Error) => {
          throw new Error(`round ${number}: ${strike} ${after} ms into ${deed}: ${error.message}`, { cause: error });
        });
        rounds.push(round);
        const about = `round ${number}: ${strike} ${after} ms into ${deed}: ${round.outcome}, ${round.took} ms`;
        options.say(round.wrong.length === 0 ? about : `${about}\n  ${round.wrong.join("\n  ")}`);
        violations.push(...round.wrong.map((text) => `round ${number} (${strike}, ${after} ms into ${deed}): ${text}`));
      }
      await rig.stop();
      violations.push(...wrongJournal(rig));
      options.say(`${node.acknowledged.length} records acknowledged`);
    },
    { disk: options.disk },
  );
  options.say(tableOf(rounds));
  options.say(violations.length === 0 ? "no violation" : `${violations.length} violations:\n${violations.join("\n")}`);
  return { rounds, violations };
}

interface TorturedNode {
  rig: Rig;
  random: () => number;
  acknowledged: string[];
  version: number;
}

async function playRound(node: TorturedNode, plan: { strike: Strike; deed: Deed; after: number }): Promise<Round> {
  const { rig, acknowledged } = node;
  const started = performance.now();
  const before = (await rig.client.app("shop")).current?.number;
  const begin = await chooseDeed(node, plan.deed);
  const writer = writeRecords(rig, acknowledged);
  const begun = begin().catch(() => undefined);
  await delay(plan.after);
  if (plan.strike === "kill") await rig.kill();
  else await cutPower(rig, writer);
  await begun;
  await writer.stop();
  // Where blobs are fetched to parts/, and where they are read in place: a change that goes on may meet the other one.
  const repository = node.random() < 0.5 ? rig.url : rig.publisher.directory;
  await rig.start({ repository, options: ["--snapshots", "100000"] });
  const wrong = await wrongWith(rig, acknowledged);
  const after = (await rig.client.app("shop")).current?.number;
  return {
    strike: plan.strike,
    deed: plan.deed,
    outcome: before === after ? "old" : "new",
    wrong,
    took: Math.round(performance.now() - started),
  };
}

/**
 * A btrfs is cut by keeping its image: nobody may write or be answered from then on, nor while it is copied. An ext4 that
 * is shut down lets a sync return that waits for another's commit: what is answered in that moment does not count.
 */
async function cutPower(rig: Rig, writer: Writer): Promise<void> {
  if (rig.disk?.kind === "btrfs") {
    await writer.stop();
    rig.holdStill();
  }
  writer.ignore();
  rig.disk?.cutPower();
  await rig.reboot();
  await rig.disk?.repair();
}

/** Prepares a deed and answers what begins it; what cannot be done now is replaced by a deploy. */
async function chooseDeed(node: TorturedNode, deed: Deed): Promise<() => Promise<OperationDocument>> {
  const { client } = node.rig;
  const { current, slots, rollbackTarget } = await client.app("shop");
  const other = slots.find(({ image, state }) => image !== current?.image && state === "good")?.image;
  if (deed === "snapshot") return () => client.begin("shop", "snapshot", {});
  if (deed === "activate" && other !== undefined) return () => client.begin("shop", "activate", { image: other });
  if (deed === "rollback" && rollbackTarget !== undefined) return () => client.begin("shop", "rollback", {});
  node.version += 1;
  await node.rig.publish({
    version: versionOf(node.rig, node.version),
    stable: 100,
    within: 400,
    migrate: "good",
    how: deed === "deploy sick" ? "sick" : "good",
  });
  return () => client.begin("shop", "deploy", {});
}

/** How long each deed takes when nobody disturbs it, milliseconds. */
async function measure(node: TorturedNode): Promise<Record<Deed, number>> {
  const takes: Partial<Record<Deed, number>> = {};
  for (const deed of DEEDS) {
    const begin = await chooseDeed(node, deed);
    const started = performance.now();
    await node.rig.client.wait(await begin(), () => {}, AbortSignal.timeout(ROUND_LIMIT));
    takes[deed] = performance.now() - started;
    await eventually(
      () => node.rig.client.app("shop"),
      ({ health, operations }) => health === "healthy" && operations.length === 0,
    );
  }
  return takes as Record<Deed, number>;
}

interface Writer {
  stop(): Promise<void>;
  /** What is answered from now on does not count. */
  ignore(): void;
}

/** Writes one record after the other; a record counts once the app answered that it has it. */
function writeRecords(rig: Rig, acknowledged: string[]): Writer {
  let stopped = false;
  let ignored = false;
  const done = (async () => {
    while (!stopped) {
      const record = await rig.acknowledge(ANSWER_LIMIT).catch(() => undefined);
      if (record !== undefined && !ignored) acknowledged.push(record);
      await delay(record === undefined ? 20 : 5);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await done;
    },
    ignore() {
      ignored = true;
    },
  };
}

async function withLimit<T>(work: Promise<T>): Promise<T> {
  const limit = new AbortController();
  const late = delay(ROUND_LIMIT, undefined, { signal: limit.signal }).then(() => {
    throw new Error(`a round did not end within ${ROUND_LIMIT} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    limit.abort();
    late.catch(() => {}); // it was only there to be first
  }
}

function tableOf(rounds: readonly Round[]): string {
  const rows = STRIKES.flatMap((strike) =>
    DEEDS.map((deed) => {
      const these = rounds.filter((round) => round.strike === strike && round.deed === deed);
      const count = (outcome: string) => String(these.filter((round) => round.outcome === outcome).length);
      const wrong = these.flatMap((round) => round.wrong);
      const lost = wrong.filter((text) => text.startsWith("lost record")).length;
      const mean = these.reduce((sum, { took }) => sum + took, 0) / Math.max(1, these.length);
      const figures = [String(these.length), count("old"), count("new"), String(lost), String(wrong.length - lost)];
      return [strike, deed, ...figures, `${Math.round(mean)} ms`];
    }),
  );
  return table(["strike", "deed", "rounds", "old", "new", "lost records", "other violations", "mean"], rows);
}

/** The same numbers for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
