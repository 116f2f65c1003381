import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { TEMPORARY_NAME } from "../../effects/durable.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import { finishForgetting } from "../data/forget.ts";
import { adoptData } from "../data/kept.ts";
import { tellLeftovers } from "../data/leftovers.ts";
import type { Engine } from "../engine.ts";
import { hostApp } from "../host/host.ts";
import { recoverHost, resumeUpgrade } from "../host/recover.ts";
import { forgetSecrets, removeUnusedLayers, removeUnwantedParts } from "../retention/prune.ts";
import { rollbackTarget } from "../rollback/plan.ts";
import { isUpgrade } from "../states.ts";
import { isJob } from "../switch/job.ts";
import { mountSlot, startGeneration } from "../switch/launch.ts";
import { runningOf } from "../switch/process.ts";
import { situationOf } from "../switch/situation.ts";
import { tell } from "../tell.ts";
import { type Begun, holdsTheApp, howToResolve } from "./decide.ts";

/** Apps that are brought up at once: each waits for programs most of the time. */
const AT_ONCE = 4;

/**
 * Brings the node to one defined state after any end of hostd or of the machine, and never asks: apps run their
 * current generation, unfinished operations go on or are taken back, leftovers are removed. What it does is told in
 * events and in the log. Operations go on in the background; the API answers meanwhile.
 */
export async function recover(engine: Engine): Promise<void> {
  const { journal } = engine;
  tell(engine, "hostd.started", { detail: { pid: process.pid } });
  tellSecrets(engine);
  await adoptData(engine.stateDirectory, journal);
  await recoverHost(engine);
  await removeLeftovers(engine);
  await engine.ballast.hold();
  const unfinished = journal.operations.unfinished().map((operation) => ({
    operation,
    steps: journal.operations
      .steps(operation.id)
      .map(({ name, document }): Begun => ({ name, started: document.started !== undefined })),
  }));
  const taken = new Set(unfinished.filter(({ steps }) => holdsTheApp(steps)).map(({ operation }) => operation.app));
  const host = hostApp(engine);
  const left = journal.apps.list().flatMap(({ app }) => (taken.has(app) || app === host ? [] : [app]));
  const bringUpNext = async () => {
    for (let app = left.shift(); app !== undefined; app = left.shift()) await bringUp(engine, app);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, bringUpNext));
  if (host !== undefined && !taken.has(host)) engine.watch.follow(host);
  for (const { operation, steps } of unfinished) {
    if (isUpgrade(operation.kind) && holdsTheApp(steps)) {
      await resumeUpgrade(engine, operation, steps);
      continue;
    }
    const how = howToResolve(operation.state, steps);
    const step = steps.findLast(({ started }) => started)?.name;
    engine.log("info", "unfinished operation", {
      operation: operation.id,
      app: operation.app,
      state: operation.state,
      step,
      how,
    });
    engine.submit.resolve(operation, how);
  }
  engine.care.begin();
}

/** Apps that need no secret go on; the others keep running, and are not started again. */
function tellSecrets(engine: Engine): void {
  const problem = engine.vault.problem();
  if (problem === undefined) return;
  tell(engine, "secret.unreadable", { detail: { reason: problem.message } });
  engine.log("error", "secrets cannot be read", { ...toFailureDocument(problem) });
}

/** Adopts the app's living process, or starts its current generation; then watches it. */
async function bringUp(engine: Engine, app: string): Promise<void> {
  const state = engine.journal.apps.get(app);
  if (state?.current === undefined) return;
  if (state.hold !== undefined || isJob(engine, app, state.current)) return engine.watch.follow(app);
  try {
    const living = await runningOf(engine, app, state.current);
    await startGeneration(engine, app, state.current);
    if (living !== undefined) {
      tell(engine, "app.adopted", { app, detail: { generation: state.current, pid: living.pid } });
    }
    engine.log("info", living === undefined ? "app started" : "app adopted", { app, generation: state.current });
  } catch (error) {
    const failure = toFailureDocument(error);
    tell(engine, "app.sick", { app, detail: { reason: failure.message } });
    engine.log("error", "app not started", { app, generation: state.current, ...failure });
  }
  engine.watch.follow(app);
  await mountRollbackTarget(engine, app);
}

/** So that a rollback at night is one switch and no work before it. */
async function mountRollbackTarget(engine: Engine, app: string): Promise<void> {
  const target = rollbackTarget(situationOf(engine, app));
  if (target === undefined) return;
  try {
    await mountSlot(engine, app, target.image);
  } catch (error) {
    engine.log("error", "rollback target is not usable", { app, image: target.image, ...toFailureDocument(error) });
  }
}

/** Each by itself: what hinders one is told, and hinders neither the others nor the start of hostd. */
async function removeLeftovers(engine: Engine): Promise<void> {
  const { journal, node, stateDirectory } = engine;
  const attempt = async (about: Record<string, unknown>, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      engine.log("error", "leftover not removed", { ...about, ...toFailureDocument(error) });
    }
  };
  await attempt({ what: "parts" }, async () => {
    for (const part of await removeUnwantedParts(engine)) leftover(engine, part);
  });
  for (const place of ["", "failures", "trust"]) {
    const directory = join(stateDirectory, place);
    await attempt({ directory }, () => removeFiles(engine, directory, (name) => TEMPORARY_NAME.test(name)));
  }
  await attempt({ what: "secrets" }, () => forgetSecrets(engine));
  for (const { app, image } of await node.mountedSlots()) {
    if (journal.slots.get(app, image) !== undefined) continue;
    await attempt({ app, image }, async () => {
      await node.unmountSlot(app, image);
      leftover(engine, `mounted slot ${app} ${image}`);
    });
  }
  await attempt({ what: "layers" }, async () => {
    for (const root of await removeUnusedLayers(engine)) leftover(engine, `layer ${root}`);
  });
  await attempt({ what: "data" }, async () => tellLeftovers(engine, await node.removeDataLeftovers()));
  for (const { app } of journal.apps.list()) {
    await attempt({ app, what: "forgotten snapshots" }, () => finishForgetting(engine, app));
  }
}

async function removeFiles(engine: Engine, directory: string, isLeftover: (name: string) => boolean): Promise<void> {
  for (const name of (await readdir(directory)).filter(isLeftover)) {
    await rm(join(directory, name), { force: true });
    leftover(engine, join(directory, name));
  }
}

function leftover(engine: Engine, what: string): void {
  tell(engine, "leftover.removed", { detail: { what } });
  engine.log("info", "leftover removed", { what });
}
