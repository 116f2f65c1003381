import type { Progress } from "../../terminal/progress.ts";
import type { Bases } from "../base/resolve.ts";
import { keyOf } from "../cache/cache.ts";
import { type Chain, EMPTY_CHAIN } from "../chain.ts";
import type { Plan, PlannedStep } from "../plan.ts";
import { explainMiss, type LastBuild, sameStep } from "./explain.ts";
import type { StepShop } from "./shop.ts";
import { findStep, makeStep, prepareStep, type TakenStep } from "./take.ts";

/** Lists of what was read, only for naming what changed: more would grow with every edit. */
const READS_KEPT = 200;

/** How one step of a build went. */
export interface StepReport {
  /** From 1. */
  index: number;
  total: number;
  section: "bootstrap" | "deploy";
  text: string;
  key: string;
  cached: boolean;
  /** Milliseconds. */
  took: number;
  /** Why it was not taken from the cache: the input that moved. */
  missed?: string;
}

export interface StepsInput {
  plan: Plan;
  bases: Bases;
  /** Whole path: the last build that misses are explained from is this recipe's. */
  recipeFile: string;
  /** DEPLOY's file times, seconds since 1970. */
  epoch: number;
  shop: Omit<StepShop, "bootstrap" | "onOutput">;
  noCache: boolean;
  progress: Progress;
}

export interface TakenSteps {
  reports: StepReport[];
  /** The finished BOOTSTRAP tree, and the tree of the image. */
  bootstrap: Chain;
  image: Chain;
  /** What each planned step made, in order. */
  taken: TakenStep[];
}

/** Takes every step in order, from the cache or by making it, and keeps what the next build's `--explain` compares with. */
export async function takeSteps(input: StepsInput): Promise<TakenSteps> {
  const { plan, bases, shop } = input;
  const { recipe } = bases;
  const lastKey = keyOf(["last", input.recipeFile, shop.context.directory]);
  const last = await shop.cache.get<LastBuild>("last", lastKey);
  const reports: StepReport[] = [];
  const taken: TakenStep[] = [];
  const takeSection = async (section: "bootstrap" | "deploy", start: Chain, bootstrap: Chain): Promise<Chain> => {
    let chain = start;
    for (const planned of plan.steps.filter(({ written }) => written === section)) {
      const earlier = reports.findLast((report) => !report.cached)?.index;
      const { step, report } = await takeStep(planned, { chain, bootstrap, last, earlier }, input);
      taken.push(step);
      reports.push(report);
      chain = step.chain;
    }
    return chain;
  };
  const bootstrap = await takeSection("bootstrap", bases.chainOf(recipe.base), EMPTY_CHAIN);
  const start = recipe.deploy?.from === undefined ? bootstrap : bases.chainOf(recipe.deploy.from);
  const image = await takeSection("deploy", start, bootstrap);
  const steps = taken.map((step, index) => ({ section: reports[index]?.section ?? "deploy", inputs: step.inputs }));
  if (JSON.stringify(steps) !== JSON.stringify(last?.steps)) {
    await shop.cache.put("last", lastKey, { steps } satisfies LastBuild);
    await shop.cache.trim("reads", READS_KEPT);
  }
  return { reports, bootstrap, image, taken };
}

interface StepContext {
  chain: Chain;
  bootstrap: Chain;
  last: LastBuild | undefined;
  earlier: number | undefined;
}

async function takeStep(
  planned: PlannedStep,
  context: StepContext,
  input: StepsInput,
): Promise<{ step: TakenStep; report: StepReport }> {
  const { index, total, step, written } = planned;
  const { chain } = context;
  const started = performance.now();
  const event = { id: `step-${index}`, text: `[${index}/${total}] ${step.text}` };
  const onOutput = (text: string) => input.progress({ id: event.id, state: "output", text });
  const shop: StepShop = { ...input.shop, bootstrap: context.bootstrap, onOutput };
  const place = {
    below: chain,
    number: `${index}/${total}`,
    epoch: planned.clock === "lock" ? input.bases.epoch : input.epoch,
  };
  const reported = (taken: TakenStep, missed?: string) => {
    const took = performance.now() - started;
    input.progress({ ...event, state: taken.cached ? "cached" : "done", took });
    const report = { index, total, section: written, text: step.text, key: taken.key, cached: taken.cached, took };
    return { step: taken, report: { ...report, ...(missed === undefined ? {} : { missed }) } };
  };
  try {
    const prepared = await prepareStep(step, place, shop);
    const found = input.noCache ? undefined : await findStep(prepared, chain, shop);
    if (found !== undefined) return reported(found);
    const missed = input.noCache
      ? "--no-cache"
      : await explainMiss(
          shop.cache,
          sameStep(context.last, planned.index, prepared.inputs),
          prepared.inputs,
          context.earlier,
        );
    input.progress({ ...event, state: "started" });
    return reported(await makeStep(step, prepared, place, shop), missed);
  } catch (error) {
    input.progress({ ...event, state: "failed" });
    throw error;
  }
}
