import * as z from "zod";
import type { UpdateHold } from "../../manifests/node.ts";
import { HostdError } from "../error.ts";
import type { Database } from "./database.ts";
import type { Events } from "./events.ts";

const row = z.object({ reason: z.string(), until: z.string().optional(), by: z.string(), since: z.string() });

/** Apps that stay at the version they run, because somebody said so: hostd and everybody else switch them to no other. */
export interface UpdateHolds {
  /** The hold in force; one whose time is over is none. */
  of(app: string): UpdateHold | undefined;
  /** Throws where one is in force; the error says why, until when and how to lift it. */
  refuse(app: string): void;
  /** In place of an earlier one. `until`: RFC 3339, UTC; for good where it is undefined. */
  set(app: string, hold: { reason: string; until: string | undefined; by: string }): void;
  /** Nothing where there is none. */
  lift(app: string, by: string): void;
}

export function openUpdateHolds(database: Database, events: Events, date: () => Date): UpdateHolds {
  const now = () => date().toISOString();
  const of = (app: string) =>
    database.one(
      row,
      `SELECT reason, until, caller AS by, since FROM update_holds
       WHERE app = ? AND lifted_at IS NULL AND (until IS NULL OR until > ?) ORDER BY id DESC LIMIT 1`,
      [app, now()],
    );
  const end = (app: string, by: string) =>
    database.run("UPDATE update_holds SET lifted_at = ?, lifted_by = ? WHERE app = ? AND lifted_at IS NULL", [
      now(),
      by,
      app,
    ]);

  return {
    of,
    refuse(app) {
      const hold = of(app);
      if (hold === undefined) return;
      const until = hold.until === undefined ? "" : ` until ${hold.until}`;
      throw new HostdError("updates-held", `updates of ${app} are held${until} by ${hold.by}: ${hold.reason}`, {
        hint: `hostd unhold ${app} lifts that; a rollback is not held`,
        details: { ...hold },
      });
    },
    set(app, { reason, until, by }) {
      database.transaction(() => {
        end(app, by);
        database.run("INSERT INTO update_holds (app, reason, until, caller, since) VALUES (?, ?, ?, ?, ?)", [
          app,
          reason,
          until,
          by,
          now(),
        ]);
        events.append("updates.held", { app, detail: { reason, by, ...(until === undefined ? {} : { until }) } });
      });
    },
    lift(app, by) {
      database.transaction(() => {
        if (of(app) !== undefined) events.append("updates.released", { app, detail: { by } });
        end(app, by);
      });
    },
  };
}
