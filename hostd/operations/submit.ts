import { randomUUID } from "node:crypto";
import { type FailureDocument, toFailureDocument } from "../../manifests/failure.ts";
import type { OperationKind } from "../../manifests/node.ts";
import { kindOfConfig, type WantedConfig } from "../config/choose.ts";
import { refuseForgetting } from "../data/forget.ts";
import { parseTtl } from "../data/ttl.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { hostApp } from "../host/host.ts";
import type { OperationRow } from "../journal/operations.ts";
import type { SlotRow } from "../journal/slots.ts";
import { planRollback, type RollbackRequest } from "../rollback/plan.ts";
import type { Found } from "../stage/identify.ts";
import { parseRate } from "../stage/pace.ts";
import { planReturn } from "../stage/returning.ts";
import type { SwitchPlan } from "../switch/plan.ts";
import { planSlot, situationOf } from "../switch/situation.ts";
import { launchable } from "./context.ts";
import { haltPlan, refuseHeld, removePlan, restartPlan, samePlan, startPlan } from "./itself.ts";
import type { Plan } from "./plan.ts";
import { runOperation, undoOperation } from "./run.ts";

/** Who asks, and the id under which a repeat is recognised. */
export interface Asked {
  app: string;
  by: string;
  requestId?: string | undefined;
}

/** What an upgrade of the host may be asked for besides. */
export interface UpgradeRequest {
  /** Seconds within which `hostd confirm` must come over a new connection, else it is taken back. */
  confirmWithin?: number | undefined;
  /** Why a version is taken that the policy is against. */
  breakGlass?: string | undefined;
  /** A reboot even where hostd alone could be exchanged. */
  reboot?: boolean | undefined;
}

export interface StageRequest {
  channel?: string | undefined;
  /** The digest of a version that ran here, or its beginning: that is brought again. */
  image?: string | undefined;
  /** Bytes per second to fetch at most, below hostd's own limit: `10M`. */
  rate?: string | undefined;
}

/**
 * Begins operations. What can be refused at once is refused before an operation exists; the rest runs on by itself,
 * whoever asked may go away. A request id seen before answers with its operation and begins nothing.
 */
export interface Submit {
  stage(asked: Asked & StageRequest): OperationRow;
  /** Where the product is this node's host, this and the next two begin an upgrade of it. */
  deploy(asked: Asked & StageRequest & UpgradeRequest): OperationRow;
  /** `image`: a digest or its beginning; without one the newest version that may run. */
  activate(asked: Asked & { image?: string | undefined } & UpgradeRequest): OperationRow;
  rollback(asked: Asked & RollbackRequest & UpgradeRequest): OperationRow;
  /** A job once more, as the version that ran to its end last. */
  run(asked: Asked): OperationRow;
  adopt(asked: Asked & { channel: string; found: Found }): OperationRow;
  /** Config alone, as of a revision of the node's layers and secrets, else as they are now. */
  configure(asked: Asked & { revision?: number | undefined }): OperationRow;
  /** `cause`: why hostd itself does it. */
  restart(asked: Asked & { cause?: string }): OperationRow;
  /** `cause` is why it is kept stopped. */
  halt(asked: Asked & { cause: string }): OperationRow;
  /** What does not run, as it is, judged like a restart; what runs is left alone. */
  start(asked: Asked): OperationRow;
  /** `ttl`: how long it is kept, `14d` or `never`; until somebody forgets it where none is given. */
  snapshot(asked: Asked & { ttl?: string | undefined }): OperationRow;
  /** Refuses protected ones unless that is insisted on. */
  forget(asked: Asked & { snapshots: readonly string[]; force?: boolean; cause?: string }): OperationRow;
  /** Takes an app off the node; `data`: its data and snapshots too. */
  remove(asked: Asked & { data?: boolean | undefined }): OperationRow;
  prune(asked: Asked & { keep?: number | undefined }): OperationRow;
  /** Asks an operation to end: what it did is undone. */
  abort(id: number, by: string): void;
  /** Goes on with an operation that a crash interrupted, or takes it back. */
  resolve(operation: OperationRow, how: "resume" | "undo", reason?: FailureDocument): void;
  /** Resolves when nothing runs any more. */
  settled(): Promise<void>;
}

export function openSubmit(engineOf: () => Engine): Submit {
  const running = new Map<number, { done: Promise<void>; controller: AbortController }>();

  function launch(id: number, work: (signal: AbortSignal) => Promise<void>): void {
    const engine = engineOf();
    const controller = new AbortController();
    const end = () => controller.abort(engine.closing.reason);
    engine.closing.addEventListener("abort", end);
    if (engine.closing.aborted) end(); // what began before, and is gone on with
    const done = work(controller.signal)
      .catch((error) => engine.log("error", "operation stopped", { operation: id, ...toFailureDocument(error) }))
      .finally(() => {
        engine.closing.removeEventListener("abort", end);
        running.delete(id);
      });
    running.set(id, { done, controller });
  }

  function begin(kind: OperationKind, asked: Asked, plan: () => Plan): OperationRow {
    const engine = engineOf();
    const requestId = asked.requestId ?? randomUUID();
    const known = engine.journal.operations.byRequest(requestId);
    if (known !== undefined) return sameRequest(known, kind, asked);
    if (engine.closing.aborted) throw new HostdError("not-running", "hostd is ending: it begins nothing any more");
    engine.journal.operations.refuseBusy(asked.app, kind);
    const operation = engine.journal.transaction(() =>
      engine.journal.operations.begin({ requestId, kind, app: asked.app, caller: asked.by, plan: plan() }),
    );
    launch(operation.id, (signal) => runOperation(engine, operation.id, signal));
    return operation;
  }

  const isHost = ({ app }: Asked) => hostApp(engineOf()) === app;
  const knownOf = ({ requestId }: Asked) =>
    requestId === undefined ? undefined : engineOf().journal.operations.byRequest(requestId);

  function beginConfig(asked: Asked, wanted: WantedConfig): OperationRow {
    const { app } = asked;
    const kind = knownOf(asked) !== undefined || isHost(asked) ? undefined : kindOfConfig(engineOf(), app, wanted);
    return begin(isHost(asked) ? "configure-host" : (kind ?? "configure"), asked, () => {
      samePlan(engineOf(), app);
      refuseUnknownRevision(engineOf(), wanted.revision);
      if (kind === undefined) refuseHeld(engineOf(), app); // no file is another one: it would stay stopped
      return wanted;
    });
  }

  return {
    stage: (asked) => begin("stage", asked, () => stagePlan(engineOf(), asked)),
    deploy: (asked) =>
      begin(isHost(asked) ? "deploy-host" : "deploy", asked, () => {
        engineOf().journal.updateHolds.refuse(asked.app);
        return { ...stagePlan(engineOf(), asked), ...upgradePlan(asked, isHost(asked)) };
      }),
    activate: (asked) =>
      begin(isHost(asked) ? "upgrade" : "activate", asked, () => ({
        ...activationPlan(engineOf(), asked.app, asked.image),
        ...upgradePlan(asked, isHost(asked)),
      })),
    run: (asked) => begin("run", asked, () => runPlan(engineOf(), asked.app)),
    rollback(asked) {
      const upgrade = upgradePlan(asked, isHost(asked));
      const known = knownOf(asked); // it stays what it was when it was first asked for, whatever runs by now
      if (known !== undefined && ofConfig(known.kind)) return begin(known.kind, asked, () => ({}));
      if (known === undefined) {
        engineOf().journal.operations.refuseBusy(asked.app, "rollback");
        const config = configAlone(engineOf(), asked);
        if (config !== undefined) return beginConfig(asked, { config });
      }
      return begin(isHost(asked) ? "upgrade" : "rollback", asked, () => {
        const { cause } = asked;
        const planned = rollbackPlan(engineOf(), asked);
        refuseNewerHeld(engineOf(), asked.app, planned);
        return { switch: planned, ...(cause === undefined ? {} : { cause }), ...upgrade };
      });
    },
    adopt: ({ channel, found, ...asked }) => begin("adopt", asked, () => ({ stage: { channel, found } })),
    configure(asked) {
      const revision = asked.revision ?? engineOf().journal.config.head();
      return beginConfig(asked, { revision });
    },
    restart: (asked) =>
      begin("restart", asked, () => ({
        ...restartPlan(engineOf(), asked.app),
        ...(asked.cause === undefined ? {} : { cause: asked.cause }),
      })),
    halt: (asked) => begin("halt", asked, () => haltPlan(engineOf(), asked.app, asked.cause)),
    start: (asked) => begin("restart", asked, () => startPlan(engineOf(), asked.app)),
    snapshot: (asked) => begin("snapshot", asked, () => snapshotPlan(engineOf(), asked.app, asked.ttl)),
    forget: (asked) =>
      begin("forget", asked, () => {
        const { app, snapshots, force = false, cause } = asked;
        engineOf().journal.apps.require(app);
        for (const id of snapshots) refuseForgetting(engineOf(), app, id, force);
        return { forget: [...snapshots], ...(cause === undefined ? {} : { cause }) };
      }),
    remove: (asked) =>
      begin("remove", asked, () => {
        const { app, data = false } = asked;
        engineOf().journal.operations.refuseBusy(app, "halt");
        return removePlan(engineOf(), app, data);
      }),
    prune: (asked) =>
      begin("prune", asked, () => {
        engineOf().journal.apps.require(asked.app);
        return asked.keep === undefined ? {} : { keep: asked.keep };
      }),
    abort(id, by) {
      const entry = running.get(id);
      if (entry === undefined) {
        throw new HostdError("unknown-operation", `operation ${id} is not under way`, { hint: "hostd changes" });
      }
      entry.controller.abort(new HostdError("aborted", `aborted by ${by}`));
    },
    resolve(operation, how, reason) {
      const engine = engineOf();
      const undo: typeof runOperation = (...given) => undoOperation(...given, reason);
      const work = how === "resume" ? runOperation : undo;
      engine.journal.events.append("operation.resumed", {
        app: operation.app,
        operation: operation.id,
        detail: { how },
      });
      launch(operation.id, (signal) => work(engine, operation.id, signal));
    },
    async settled() {
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}

/** An id names one request: another one under it would be answered with what was never asked. */
function sameRequest(known: OperationRow, kind: OperationKind, { app, requestId }: Asked): OperationRow {
  if ((known.kind === kind || (ofConfig(known.kind) && ofConfig(kind))) && known.app === app) return known;
  const was = `operation ${known.id}, ${known.kind} ${known.app}`;
  throw new HostdError("bad-request", `request id ${requestId}: expected ${was}, got ${kind} ${app}`, {
    hint: "give each request an id of its own",
  });
}

/** All begin as one request; which it is depends on what changes. */
function ofConfig(kind: OperationKind): boolean {
  return kind === "configure" || kind === "reload" || kind === "configure-host";
}

function stagePlan(engine: Engine, { app, channel, image, rate: wanted }: Asked & StageRequest): Plan {
  const rate = parseRate(wanted);
  const limit = rate === undefined ? {} : { rate };
  if (image === undefined) return { stage: { channel: channel ?? engine.settings.channel, ...limit } };
  if (channel === undefined) return { stage: { ...planReturn(engine, app, image), ...limit } };
  throw new HostdError("bad-request", "expected a channel or an image, got both", {
    hint: "an image is one that was good here: the journal says which channel released it",
  });
}

function upgradePlan({ confirmWithin, breakGlass, reboot }: UpgradeRequest, isHost: boolean): Plan {
  if (isHost) {
    return {
      ...(confirmWithin === undefined ? {} : { confirmWithin }),
      ...(breakGlass === undefined ? {} : { breakGlass }),
      ...(reboot === undefined ? {} : { reboot }),
    };
  }
  if (confirmWithin === undefined && breakGlass === undefined && reboot === undefined) return {};
  throw new HostdError(
    "bad-request",
    "a confirmation, a broken glass and a reboot are for the host alone, not for an app",
  );
}

/** The version of its config to go back to, where what runs is to stay what it is, data too. */
function configAlone(engine: Engine, asked: Asked & RollbackRequest): number | undefined {
  if (asked.withData !== undefined) return undefined;
  const { image, config } = rollbackPlan(engine, asked);
  const { current } = situationOf(engine, asked.app);
  if (image !== current?.image) return undefined;
  return hostApp(engine) === asked.app && config === current.config ? undefined : config;
}

/** What never ran here is no way back. */
function refuseNewerHeld({ journal }: Engine, app: string, { image }: SwitchPlan): void {
  if (journal.generations.numbersOf(app, image).length === 0) journal.updateHolds.refuse(app);
}

function rollbackPlan(engine: Engine, asked: Asked & RollbackRequest): SwitchPlan {
  const { app, withConfig } = asked;
  engine.journal.apps.require(app);
  if (typeof withConfig === "number") engine.journal.generations.config(app, withConfig);
  return planRollback(situationOf(engine, app), asked);
}

/** Refuses at once what the step `plan` would refuse. */
function activationPlan(engine: Engine, app: string, wanted: string | undefined): Plan {
  const { image } = chooseSlot(engine, app, wanted);
  const { current } = situationOf(engine, app);
  if (image !== current?.image) engine.journal.updateHolds.refuse(app);
  planSlot(engine, app, image);
  return { image };
}

/** Refuses what is no job, or never ran to its end here: that is to be activated. */
function runPlan(engine: Engine, app: string): Plan {
  const { current } = engine.journal.apps.require(app);
  if (current === undefined) {
    throw new HostdError("not-staged", `${app} was never activated on this node`, { hint: `hostd activate ${app}` });
  }
  const { slot, app: declared } = launchable(engine, app, current);
  if (declared.job === undefined) {
    throw new HostdError(
      "bad-request",
      `${app} ${slot.version} is a service, which runs all the time: expected a job`,
      {
        hint: "KIND job in its recipe makes it one",
      },
    );
  }
  planSlot(engine, app, slot.image, true);
  return { image: slot.image };
}

function chooseSlot(engine: Engine, app: string, image: string | undefined): SlotRow {
  const slots = engine.journal.slots.list(app);
  const allowed = (slot: SlotRow) =>
    slot.state !== "failed" && engine.journal.quarantine.of(app, slot.image) === undefined;
  const found = image === undefined ? slots.find(allowed) : findSlot(slots, image);
  if (found !== undefined) return found;
  if (image !== undefined) throw noSuchImage(app, image);
  throw new HostdError("not-staged", `${app} has no version that may run on this node`, {
    hint: `hostd stage ${app} brings what the channel releases`,
  });
}

/** The one slot whose digest begins so; six hex digits at least. */
export function findSlot(slots: readonly SlotRow[], image: string): SlotRow | undefined {
  const hex = image.replace(/^sha256:/, "");
  const matches = slots.filter((slot) => hex.length >= 6 && slot.image.startsWith(`sha256:${hex}`));
  return matches.length === 1 ? matches[0] : undefined;
}

/** The refusal of an image that is named and not here. */
export function noSuchImage(app: string, image: string): HostdError {
  return new HostdError("not-staged", `${app} has no image ${image} on this node`, {
    hint: `hostd status ${app} lists what is here, hostd stage ${app} brings what the channel releases`,
  });
}

function refuseUnknownRevision({ journal }: Engine, revision = 0): void {
  const newest = journal.config.head();
  if (revision <= newest) return;
  throw new HostdError("unknown-config", `no config revision ${revision} on this node: the newest is ${newest}`, {
    hint: "hostd config history lists them",
  });
}

function snapshotPlan(engine: Engine, app: string, wanted = "never"): Plan {
  const ttl = parseTtl(wanted);
  const plan = samePlan(engine, app);
  if (engine.journal.apps.get(app)?.data_format === undefined) {
    throw new HostdError("bad-request", `${app} has no data to take a snapshot of`);
  }
  const count = engine.journal.snapshots.list(app).length + engine.journal.operations.list({ app, limit: 1 }).length;
  const snapshot = `asked-${engine.clock.date().getTime().toString(36)}-${count}`;
  return { switch: { ...plan.switch, snapshot, ...(ttl === undefined ? {} : { ttl }) } };
}
