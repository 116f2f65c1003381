import * as z from "zod";
import type { FailureDocument } from "../../manifests/failure.ts";
import {
  failureSchema,
  OPERATION_KINDS,
  OPERATION_STATES,
  type OperationKind,
  type OperationState,
  type StepDocument,
} from "../../manifests/node.ts";
import { HostdError } from "../error.ts";
import {
  type LockName,
  lockOf,
  OPERATION_TRANSITIONS,
  OPERATIONS,
  type OperationAction,
  type StepName,
} from "../states.ts";
import { type Database, json } from "./database.ts";
import type { Events } from "./events.ts";
import { transition } from "./transition.ts";

const row = z.object({
  id: z.int(),
  request_id: z.string(),
  kind: z.enum(OPERATION_KINDS),
  app: z.string(),
  caller: z.string(),
  state: z.enum(OPERATION_STATES),
  plan: json(z.record(z.string(), z.unknown())),
  reason: json(failureSchema).optional(),
  notes: json(z.array(z.string())),
  reverted: z.int().transform((value) => value === 1),
  afterwards: json(z.object({ healthy: z.boolean(), detail: z.string() })).optional(),
  transitions: z.int(),
  started_at: z.string(),
  finished_at: z.string().optional(),
});

const stepRow = z.object({
  position: z.int(),
  name: z.string(),
  started_at: z.string().optional(),
  done_at: z.string().optional(),
  undone_at: z.string().optional(),
  detail: z.string().optional(),
});

/** SQL that is true of an operation that has yet to end. */
export const UNFINISHED = "state IN ('running', 'reverting')";

export type OperationRow = z.infer<typeof row>;
export interface StepRow {
  position: number;
  name: StepName;
  document: StepDocument;
}
export type StepMark = "started" | "done" | "undone";

/** Operations, their steps and the locks they hold; one method per accepted change. */
export interface Operations {
  /** Begins an operation under the lock its first step needs; throws `busy` with the holder's id. */
  begin(input: { requestId: string; kind: OperationKind; app: string; caller: string; plan: object }): OperationRow;
  /** Throws `busy` where another operation holds the lock that this kind begins with. */
  refuseBusy(app: string, kind: OperationKind): void;
  get(id: number): OperationRow | undefined;
  /** Refuses a number that none has. */
  require(id: number): OperationRow;
  byRequest(requestId: string): OperationRow | undefined;
  unfinished(app?: string): OperationRow[];
  /** How many ended. */
  ended(): number;
  list(filter: { app?: string | undefined; limit: number }): OperationRow[];
  steps(id: number): StepRow[];
  /** Takes a further lock for a running operation; throws `busy`. Taking one it holds changes nothing. */
  lock(id: number, name: LockName): void;
  /** Throws unless the operation holds the lock: called by every method that changes an app. */
  requireLock(id: number, app: string, name: LockName): void;
  mark(id: number, position: number, mark: StepMark, detail?: string): void;
  setPlan(id: number, plan: object): void;
  /** Begins again at a step, as if it and those after it had never been. */
  rewind(id: number, step: StepName): void;
  /** The highest number that an operation gave to an entry of the ESP. */
  lastEntry(): number;
  note(id: number, text: string): void;
  setAfterwards(id: number, afterwards: { healthy: boolean; detail: string }): void;
  revert(id: number, reason: FailureDocument): void;
  finish(id: number): void;
  fail(id: number, end: { reason: FailureDocument; reverted: boolean }): void;
}

const MARK_COLUMNS = { started: "started_at", done: "done_at", undone: "undone_at" } as const;

export function openOperations(database: Database, events: Events, date: () => Date): Operations {
  const now = () => date().toISOString();

  function known(id: number): OperationRow {
    const found = database.one(row, "SELECT * FROM operations WHERE id = ?", [id]);
    if (found !== undefined) return found;
    throw new HostdError("unknown-operation", `no operation ${id} on this node`, { hint: "hostd changes lists them" });
  }

  function move(id: number, action: OperationAction): OperationRow {
    const operation = known(id);
    const state = transition(OPERATION_TRANSITIONS, `operation ${id}`, operation.state, action);
    database.run("UPDATE operations SET state = ? WHERE id = ?", [state, id]);
    return operation;
  }

  function close(id: number, action: "finish" | "fail", kind: "operation.done" | "operation.failed", detail: object) {
    const operation = move(id, action);
    database.run("UPDATE operations SET finished_at = ? WHERE id = ?", [now(), id]);
    database.run("DELETE FROM locks WHERE operation = ?", [id]);
    events.append(kind, { app: operation.app, operation: id, detail: { ...detail } });
  }

  function holderOf(app: string, name: LockName): number | undefined {
    const sql = "SELECT operation FROM locks WHERE app = ? AND name = ?";
    return database.one(z.object({ operation: z.int() }), sql, [app, name])?.operation;
  }

  function lock(operation: { id: number; app: string }, name: LockName): void {
    const holder = holderOf(operation.app, name);
    if (holder === operation.id) return;
    if (holder !== undefined) throw busy(operation.app, known(holder));
    database.run("INSERT INTO locks (app, name, operation) VALUES (?, ?, ?)", [operation.app, name, operation.id]);
  }

  return {
    begin: ({ requestId, kind, app, caller, plan }) =>
      database.transaction(() => {
        const state = transition<OperationState, OperationAction>(
          OPERATION_TRANSITIONS,
          "operation",
          "absent",
          "begin",
        );
        const { id } = database.run(
          "INSERT INTO operations (request_id, kind, app, caller, state, plan, started_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
          [requestId, kind, app, caller, state, JSON.stringify(plan), now()],
        );
        const steps: readonly StepName[] = OPERATIONS[kind];
        steps.forEach((name, position) => {
          database.run("INSERT INTO steps (operation, position, name) VALUES (?, ?, ?)", [id, position, name]);
        });
        lock({ id, app }, firstLock(kind));
        events.append("operation.started", { app, operation: id, detail: { kind, by: caller } });
        return known(id);
      }),
    refuseBusy(app, kind) {
      const holder = holderOf(app, firstLock(kind));
      if (holder !== undefined) throw busy(app, known(holder));
    },
    require: known,
    get: (id) => database.one(row, "SELECT * FROM operations WHERE id = ?", [id]),
    byRequest: (requestId) => database.one(row, "SELECT * FROM operations WHERE request_id = ?", [requestId]),
    unfinished: (app) =>
      database.all(row, `SELECT * FROM operations WHERE ${UNFINISHED} AND (? IS NULL OR app = ?) ORDER BY id`, [
        app,
        app,
      ]),
    ended() {
      const sql = `SELECT count(*) AS ended FROM operations WHERE NOT ${UNFINISHED}`;
      return database.one(z.object({ ended: z.int() }), sql)?.ended ?? 0;
    },
    list: ({ app, limit }) =>
      database.all(row, "SELECT * FROM operations WHERE ? IS NULL OR app = ? ORDER BY id DESC LIMIT ?", [
        app,
        app,
        limit,
      ]),
    steps: (id) => database.all(stepRow, "SELECT * FROM steps WHERE operation = ? ORDER BY position", [id]).map(toStep),
    lock: (id, name) => database.transaction(() => lock(known(id), name)),
    requireLock(id, app, name) {
      if (holderOf(app, name) === id) return;
      throw new HostdError("lock-not-held", `operation ${id} changes ${app} without holding its lock ${name}`);
    },
    mark(id, position, mark, detail) {
      database.transaction(() => {
        const at = MARK_COLUMNS[mark];
        database.run(`UPDATE steps SET ${at} = ?, detail = coalesce(?, detail) WHERE operation = ? AND position = ?`, [
          now(),
          detail,
          id,
          position,
        ]);
        database.run("UPDATE operations SET transitions = transitions + 1 WHERE id = ?", [id]);
      });
    },
    setPlan: (id, plan) => void database.run("UPDATE operations SET plan = ? WHERE id = ?", [JSON.stringify(plan), id]),
    rewind: (id, step) =>
      database.transaction(() => {
        database.run(
          `UPDATE steps SET started_at = NULL, done_at = NULL WHERE operation = ?
           AND position >= (SELECT position FROM steps WHERE operation = ? AND name = ?)`,
          [id, id, step],
        );
        database.run("UPDATE operations SET transitions = transitions + 1 WHERE id = ?", [id]);
      }),
    lastEntry() {
      const sql = "SELECT coalesce(max(json_extract(plan, '$.host.entry')), 0) AS entry FROM operations";
      return database.one(z.object({ entry: z.int() }), sql, [])?.entry ?? 0;
    },
    note(id, text) {
      const notes = known(id).notes;
      if (notes.includes(text)) return;
      database.run("UPDATE operations SET notes = ? WHERE id = ?", [JSON.stringify([...notes, text]), id]);
    },
    setAfterwards: (id, afterwards) =>
      void database.run("UPDATE operations SET afterwards = ? WHERE id = ?", [JSON.stringify(afterwards), id]),
    revert: (id, reason) =>
      database.transaction(() => {
        const operation = move(id, "revert");
        database.run("UPDATE operations SET reason = ? WHERE id = ?", [JSON.stringify(reason), id]);
        events.append("operation.reverting", {
          app: operation.app,
          operation: id,
          detail: { code: reason.code, message: reason.message },
        });
      }),
    finish: (id) => database.transaction(() => close(id, "finish", "operation.done", {})),
    fail: (id, { reason, reverted }) =>
      database.transaction(() => {
        const values = [JSON.stringify(reason), reverted ? 1 : 0, id];
        database.run("UPDATE operations SET reason = ?, reverted = ? WHERE id = ?", values);
        close(id, "fail", "operation.failed", { code: reason.code, message: reason.message, reverted });
      }),
  };
}

function firstLock(kind: OperationKind): LockName {
  return lockOf(OPERATIONS[kind][0]);
}

function busy(app: string, holder: OperationRow): HostdError {
  return new HostdError(
    "busy",
    `${app} is busy: operation ${holder.id} (${holder.kind}, by ${holder.caller}) is under way`,
    {
      hint: `hostd changes ${holder.id} shows it, hostd abort ${holder.id} takes it back`,
      details: { operation: holder.id, kind: holder.kind, by: holder.caller, since: holder.started_at },
    },
  );
}

function toStep(found: z.infer<typeof stepRow>): StepRow {
  const name = found.name as StepName;
  const document: StepDocument = {
    name,
    ...(found.started_at === undefined ? {} : { started: found.started_at }),
    ...(found.done_at === undefined ? {} : { done: found.done_at }),
    ...(found.undone_at === undefined ? {} : { undone: found.undone_at }),
    ...(found.detail === undefined ? {} : { detail: found.detail }),
  };
  return { position: found.position, name, document };
}
