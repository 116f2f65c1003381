import type { SnapshotsDocument } from "../../manifests/care.ts";
import type { Digest } from "../../manifests/digest.ts";
import type { FailureDocument } from "../../manifests/failure.ts";
import type {
  AppStatus,
  GenerationDocument,
  OperationDocument,
  StatusDocument,
  UnderWay,
} from "../../manifests/node.ts";
import { showWindow } from "../../manifests/window.ts";
import { configState } from "../config/choose.ts";
import { leftAlone } from "../data/forget.ts";
import type { Engine } from "../engine.ts";
import { hinderedRestarts } from "../health/hindered.ts";
import { toHostStatus } from "../host/status.ts";
import type { AppRow } from "../journal/apps.ts";
import { type GenerationRow, toGenerationDocument } from "../journal/generations.ts";
import type { OperationRow } from "../journal/operations.ts";
import { toSlotDocument } from "../journal/slots.ts";
import { parsePlan } from "../operations/plan.ts";
import { rollbackTarget } from "../rollback/plan.ts";
import { lastRunOf } from "../switch/job.ts";
import { limitsOf } from "../switch/limits.ts";
import { runningOf } from "../switch/process.ts";
import { situationOf } from "../switch/situation.ts";
import { VERSION } from "../version.ts";

const STARTED = new Date().toISOString();

/** An operation as it crosses the socket: what the journal says, and progress while it runs. */
export function toOperationDocument(engine: Engine, operation: OperationRow): OperationDocument {
  const { id } = operation;
  const plan = parsePlan(operation.plan, id);
  const about = plan.switch ?? plan.stage?.found;
  const progress = operation.finished_at === undefined ? engine.board.progress(id) : undefined;
  return {
    schema: 1,
    id,
    requestId: operation.request_id,
    kind: operation.kind,
    app: operation.app,
    by: operation.caller,
    state: operation.state,
    ...aboutOf(engine, operation.app, about ?? plan.image),
    ...(plan.switch?.from === undefined ? {} : { from: plan.switch.from }),
    ...(plan.switch === undefined ? {} : { to: plan.switch.to }),
    ...(plan.gap === undefined ? {} : { gap: plan.gap }),
    ...(plan.run === undefined ? {} : { run: plan.run }),
    steps: engine.journal.operations.steps(id).map(({ document }) => document),
    ...(operation.reason === undefined ? {} : { reason: withoutUndefined(operation.reason) }),
    reverted: operation.reverted,
    ...(operation.afterwards === undefined ? {} : { afterwards: operation.afterwards }),
    notes: plan.cause === undefined ? operation.notes : [`because: ${plan.cause}`, ...operation.notes],
    ...(progress === undefined ? {} : { progress }),
    started: operation.started_at,
    ...(operation.finished_at === undefined ? {} : { finished: operation.finished_at }),
  };
}

/** Everything about one app; takes no lock, so it answers during any operation. */
export async function toAppStatus(engine: Engine, app: string): Promise<AppStatus> {
  const { apps, generations, slots, snapshots, operations } = engine.journal;
  const state = apps.require(app);
  const target = rollbackTarget(situationOf(engine, app));
  const targetGeneration = target === undefined ? undefined : generations.get(app, target.number);
  const underWay = operations.unfinished(app).map((operation) => toUnderWay(engine, operation));
  const process = await processDocument(engine, app, state.current);
  const config = configState(engine, app);
  const lastRun = lastRunOf(engine, app);
  const health = state.hold === undefined ? (engine.board.health(app) ?? "unknown") : "stopped";
  const updatesHeld = engine.journal.updateHolds.of(app);
  const hindered = health === "unhealthy" ? hinderedRestarts(engine, app)?.reason : undefined;
  const refused = engine.journal.quarantine.list(app);
  const generationDocument = (row: GenerationRow) =>
    toGenerationDocument(row, generations.config(app, row.config).revision);
  const current = state.current === undefined ? undefined : generationDocument(generations.require(app, state.current));
  return {
    app,
    health,
    checks: engine.board.checks(app),
    hostChecks: engine.board.hostChecks(app),
    ...(state.target === undefined ? {} : { target: state.target }),
    ...(current === undefined ? {} : { current: { ...current, ...dataNow(current, state) } }),
    ...(state.data_format === undefined
      ? {}
      : { data: { version: state.data_version ?? "first", format: state.data_format } }),
    ...(targetGeneration === undefined ? {} : { rollbackTarget: generationDocument(targetGeneration) }),
    ...(state.hold === undefined ? {} : { hold: state.hold }),
    ...(hindered === undefined ? {} : { hindered }),
    ...(updatesHeld === undefined ? {} : { updatesHeld }),
    ...(process === undefined ? {} : { process }),
    limits: process === undefined || state.current === undefined ? [] : await limitsOf(engine, app, state.current),
    ...(lastRun === undefined ? {} : { lastRun }),
    slots: slots.list(app).map((slot) => {
      const reason = refused.find(({ image }) => image === slot.image)?.reason;
      return { ...toSlotDocument(slot), ...(reason === undefined ? {} : { quarantined: reason }) };
    }),
    snapshots: snapshots.list(app),
    ...(config === undefined ? {} : { config }),
    operations: underWay.map(({ operation }) => operation),
    underWay,
  };
}

/** What a generation has run on since it began is another version of the data where that was taken back. */
function dataNow({ data }: GenerationDocument, { data_version: version, data_format: format }: AppRow) {
  return data === undefined || version === undefined || format === undefined ? {} : { data: { version, format } };
}

/** Snapshots of an app with their sizes, which are measured for this answer. */
export async function toSnapshots(engine: Engine, app: string): Promise<SnapshotsDocument> {
  engine.journal.apps.require(app);
  const sizes = await engine.node.snapshotSizes(app);
  const alone = leftAlone(engine, app);
  const snapshots = engine.journal.snapshots.list(app).map((snapshot) => {
    const [size, kept] = [sizes[snapshot.id], alone.get(snapshot.id)];
    return { ...snapshot, ...(size === undefined ? {} : { size }), ...(kept === undefined ? {} : { kept }) };
  });
  return { schema: 1, snapshots };
}

export async function toStatus(engine: Engine): Promise<StatusDocument> {
  const here = engine.journal.apps.list().filter((row) => isHere(engine, row));
  const apps = await Promise.all(here.map(({ app }) => toAppStatus(engine, app)));
  const host = await toHostStatus(engine); // after the operations: where none is under way, what it says is how they ended
  const [scrub, look] = [engine.care.lastScrub(), engine.care.lastLook()];
  return {
    schema: 1,
    hostd: {
      version: VERSION,
      pid: process.pid,
      started: STARTED,
      state: engine.stateDirectory,
      repository: engine.source.location,
    },
    verity: await engine.node.protection(),
    data: await engine.node.dataStore(),
    ...followsOf(engine.settings),
    apps,
    quarantine: engine.journal.quarantine.list(),
    problems: [engine.vault.problem()?.message ?? []].flat(),
    ...(host === undefined ? {} : { host }),
    ...(scrub === undefined ? {} : { scrub }),
    ...(look === undefined ? {} : { care: look }),
  };
}

/** Of an app that was removed with its data only the history is left. */
function isHere({ journal }: Engine, { app, current, data_format: format }: AppRow): boolean {
  if (current !== undefined || format !== undefined || journal.slots.list(app).length > 0) return true;
  return journal.snapshots.list(app).length > 0 || journal.operations.unfinished(app).length > 0;
}

function followsOf({ channel, follow }: Engine["settings"]): Pick<StatusDocument, "follows"> {
  if (follow === undefined) return {};
  const { how, between } = follow;
  return { follows: { channel, how, ...(between === undefined ? {} : { between: showWindow(between) }) } };
}

function toUnderWay(engine: Engine, operation: OperationRow): UnderWay {
  const { id, kind, state, by, started, image, version, from, to, steps, reason, progress } = toOperationDocument(
    engine,
    operation,
  );
  const { cause } = parsePlan(operation.plan, id);
  const begun = steps.filter((step) => step.started !== undefined && step.undone === undefined);
  const step = state === "reverting" ? begun.at(-1) : begun.findLast(({ done }) => done === undefined);
  const why = reason?.message ?? cause;
  return {
    operation: id,
    kind,
    state,
    by,
    since: started,
    ...(image === undefined ? {} : { image }),
    ...(version === undefined ? {} : { version }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(step === undefined ? {} : { step: step.name }),
    ...(progress === undefined ? {} : { text: progress.text }),
    ...(why === undefined ? {} : { reason: why }),
  };
}

async function processDocument(engine: Engine, app: string, current: number | undefined) {
  const found = current === undefined ? undefined : await runningOf(engine, app, current);
  return found === undefined ? undefined : { pid: found.pid, started: found.startedAt };
}

function withoutUndefined({ hint, details, ...failure }: FailureDocument) {
  return { ...failure, ...(hint === undefined ? {} : { hint }), ...(details === undefined ? {} : { details }) };
}

function aboutOf(engine: Engine, app: string, about: { image: Digest; version: string } | Digest | undefined) {
  if (about === undefined) return {};
  if (typeof about !== "string") return { image: about.image, version: about.version };
  const version = engine.journal.slots.get(app, about)?.version;
  return { image: about, ...(version === undefined ? {} : { version }) };
}
