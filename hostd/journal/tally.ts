import * as z from "zod";
import { OPERATION_KINDS, OPERATION_STATES } from "../../manifests/node.ts";
import { lockOf, STEPS, type StepName } from "../states.ts";
import type { Database } from "./database.ts";
import { UNFINISHED } from "./operations.ts";

const outcome = z.object({
  app: z.string(),
  kind: z.enum(OPERATION_KINDS),
  state: z.enum(OPERATION_STATES),
  reverted: z.int().transform((value) => value === 1),
  count: z.int(),
});

/** Plans that are read to find a run: a job whose last hundred starts all came to nothing has no run worth telling. */
const PLANS_READ = 100;

const id = z.object({ id: z.int() });
const span = z.object({ started: z.string().optional(), done: z.string().optional() });

export type OutcomeCount = z.infer<typeof outcome>;

/** Questions over all operations that ever were; they change nothing. */
export interface Tally {
  /** How many operations of each app and kind ended, or stand, in each way. */
  outcomes(): OutcomeCount[];
  /** The last activation, deployment, rollback or switch of config alone of an app. */
  lastUpdate(app: string): number | undefined;
  /** The last operation that started an app which is a job, among the newest that may. */
  lastRun(app: string): number | undefined;
  /** The same, of those that ended. */
  lastEndedRun(app: string): number | undefined;
  /** Seconds from the first to the last step of the last staging that was completed. */
  stageSeconds(app: string): number | undefined;
}

export function openTally(database: Database): Tally {
  const staging = (Object.keys(STEPS) as StepName[]).filter((step) => lockOf(step) === "stage");
  const names = staging.map((step) => `'${step}'`).join(", ");
  const lastRun = (app: string, which: string) =>
    database.one(
      id,
      `SELECT id FROM (SELECT * FROM operations WHERE app = ? AND kind IN ('activate', 'deploy', 'run') ORDER BY id DESC LIMIT ?)
       WHERE json_extract(plan, '$.run') IS NOT NULL AND ${which} ORDER BY id DESC LIMIT 1`,
      [app, PLANS_READ],
    )?.id;
  return {
    outcomes: () =>
      database.all(
        outcome,
        "SELECT app, kind, state, reverted, count(*) AS count FROM operations GROUP BY app, kind, state, reverted",
      ),
    lastUpdate: (app) =>
      database.one(
        id,
        "SELECT id FROM operations WHERE app = ? AND kind IN ('activate', 'deploy', 'rollback', 'configure', 'reload', 'upgrade', 'deploy-host', 'configure-host') ORDER BY id DESC LIMIT 1",
        [app],
      )?.id,
    lastRun: (app) => lastRun(app, "true"),
    lastEndedRun: (app) => lastRun(app, `NOT ${UNFINISHED}`),
    stageSeconds(app) {
      const last = database.one(
        id,
        "SELECT operation AS id FROM steps JOIN operations ON operations.id = steps.operation WHERE app = ? AND name = 'record' AND done_at IS NOT NULL ORDER BY operation DESC LIMIT 1",
        [app],
      );
      if (last === undefined) return undefined;
      const sql = `SELECT min(started_at) AS started, max(done_at) AS done FROM steps WHERE operation = ? AND name IN (${names})`;
      const { started = "", done = "" } = database.one(span, sql, [last.id]) ?? {};
      return (Date.parse(done) - Date.parse(started)) / 1_000;
    },
  };
}
