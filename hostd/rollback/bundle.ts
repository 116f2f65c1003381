import { readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { type FailureDocument, toFailureDocument } from "../../manifests/failure.ts";
import { toOperationDocument } from "../api/documents.ts";
import type { Engine } from "../engine.ts";
import { leftByTrial } from "../host/afterwards.ts";
import type { Context } from "../operations/context.ts";
import { processNumber, processNumbers } from "../switch/process.ts";
import { describeMachine } from "../system/machine.ts";

/** Bundles of one app; the oldest goes when another is kept. */
const MOST_KEPT = 50;

/**
 * Keeps what tells why an operation failed, before anything of it is undone: the end of the app's log, how its
 * processes ended, the results of its checks and the host's, the machine's room, the operation with its events. Never the cause of another failure: what cannot be read is noted.
 */
export async function keepFailure(context: Context, reason: FailureDocument): Promise<void> {
  const { engine, app, id, plan } = context;
  const generation = plan.switch?.to;
  const path = bundlePath(engine, id);
  try {
    const kept = await unlessMissing(readFile(path, "utf8"));
    const evidence = kept === undefined ? await gather(engine, app, generation) : JSON.parse(kept);
    const boot = await leftByTrial(context, evidence.boot);
    const operation = toOperationDocument(engine, engine.journal.operations.require(id));
    const events = engine.journal.events.of(id);
    await writeDurably(
      path,
      JSON.stringify({ schema: 1, ...evidence, boot, reason, operation, events }, undefined, 2),
      0o600,
    );
    await forgetOldest(engine, app);
  } catch (error) {
    engine.log("error", "failure bundle not kept", { operation: id, ...toFailureDocument(error) });
  }
}

async function forgetOldest(engine: Engine, app: string): Promise<void> {
  const names = await readdir(dirname(bundlePath(engine, 0)));
  const ids = names.flatMap((name) => /^(\d+)\.json$/.exec(name)?.[1] ?? []).map(Number);
  const ofApp = ids.filter((id) => engine.journal.operations.get(id)?.app === app).sort((one, other) => other - one);
  for (const id of ofApp.slice(MOST_KEPT)) await rm(bundlePath(engine, id), { force: true });
}

export function bundlePath(engine: Pick<Engine, "stateDirectory">, operation: number): string {
  return join(engine.stateDirectory, "failures", `${operation}.json`);
}

async function gather(engine: Engine, app: string, generation: number | undefined) {
  const numbers = generation === undefined ? [] : processNumbers(engine, app, generation);
  const log = numbers.length === 0 ? undefined : await processNumber(engine, app, generation ?? 0);
  return {
    app,
    generation,
    checks: engine.board.checks(app),
    hostChecks: engine.board.hostChecks(app),
    processes: (await engine.node.running(app)).filter((process) => numbers.includes(process.generation)),
    log: log === undefined ? "" : await engine.node.logs(app, log),
    machine: await describeMachine(engine.stateDirectory),
  };
}
