import * as z from "zod";
import { digestSchema } from "../../manifests/digest.ts";
import { HostdError } from "../error.ts";
import { type Database, json } from "./database.ts";
import type { Events } from "./events.ts";
import type { Operations } from "./operations.ts";

const targetSchema = z.object({ image: digestSchema, version: z.string(), sequence: z.int() });

const row = z.object({
  app: z.string(),
  current: z.int().optional(),
  previous: z.int().optional(),
  target: json(targetSchema).optional(),
  floor: z.int(),
  floor_image: digestSchema.optional(),
  hold: z.string().optional(),
  data_version: z.string().optional(),
  data_format: z.int().optional(),
});

export type AppRow = z.infer<typeof row>;
export type Target = z.infer<typeof targetSchema>;

/** What each app runs, should run and may not run; holds and floors live here, outside anything that is rolled back. */
export interface Apps {
  get(app: string): AppRow | undefined;
  /** Refuses one that this node does not have. */
  require(app: string): AppRow;
  list(): AppRow[];
  /** Records the release accepted: no lower sequence is ever taken again, nor another image with the same one. */
  accept(operation: number, app: string, target: Target): void;
  setTarget(operation: number, app: string, target: Target): void;
  /** The one pointer: which generation is current. Clears a hold. */
  point(operation: number, app: string, to: { current: number | undefined; previous: number | undefined }): void;
  hold(operation: number, app: string, reason: string | undefined): void;
  /** Nothing of it runs here any more, or is kept stopped; what was accepted of it stays known. */
  vacate(operation: number, app: string): void;
  /** What is in the live data now; no format where there is none. */
  setData(operation: number, app: string, data: { version?: string | undefined; format: number | undefined }): void;
  /** What data an app has that is not known otherwise, from before this journal. */
  adoptData(app: string, data: { version?: string | undefined; format: number }): void;
}

export function openApps(database: Database, events: Events, operations: Operations): Apps {
  const get = (app: string) => database.one(row, "SELECT * FROM apps WHERE app = ?", [app]);

  function change(operation: number, app: string, lock: "stage" | "switch", work: () => void): void {
    database.transaction(() => {
      operations.requireLock(operation, app, lock);
      database.run("INSERT INTO apps (app) VALUES (?) ON CONFLICT (app) DO NOTHING", [app]);
      work();
    });
  }

  const list = () => database.all(row, "SELECT * FROM apps ORDER BY app");

  function require(app: string): AppRow {
    const found = get(app);
    if (found !== undefined) return found;
    const known = list().map((entry) => entry.app);
    throw new HostdError("unknown-app", `no app ${JSON.stringify(app)} on this node`, {
      hint: `${known.length === 0 ? "" : `it has ${known.join(", ")}; `}hostd stage ${app} brings what the channel releases`,
    });
  }

  return {
    get,
    require,
    list,
    accept: (operation, app, target) =>
      change(operation, app, "stage", () => {
        database.run("UPDATE apps SET floor = max(floor, ?), floor_image = ?, target = ? WHERE app = ?", [
          target.sequence,
          target.image,
          JSON.stringify(target),
          app,
        ]);
      }),
    setTarget: (operation, app, target) =>
      change(operation, app, "switch", () => {
        database.run("UPDATE apps SET target = ? WHERE app = ?", [JSON.stringify(target), app]);
      }),
    point: (operation, app, { current, previous }) =>
      change(operation, app, "switch", () => {
        database.run("UPDATE apps SET current = ?, previous = ? WHERE app = ?", [current, previous, app]);
        events.append("generation.current", {
          app,
          operation,
          detail: { ...(current === undefined ? {} : { generation: current }), ...from(previous) },
        });
      }),
    vacate: (operation, app) =>
      change(operation, app, "switch", () => {
        if (get(app)?.current !== undefined) events.append("app.removed", { app, operation, detail: {} });
        database.run("UPDATE apps SET current = NULL, previous = NULL, target = NULL, hold = NULL WHERE app = ?", [
          app,
        ]);
      }),
    hold: (operation, app, reason) =>
      change(operation, app, "switch", () => {
        if (get(app)?.hold === reason) return;
        database.run("UPDATE apps SET hold = ? WHERE app = ?", [reason, app]);
        const detail = reason === undefined ? {} : { reason };
        events.append(reason === undefined ? "app.unheld" : "app.held", { app, operation, detail });
      }),
    setData: (operation, app, { version, format }) =>
      change(operation, app, "switch", () => {
        const detail = format === undefined ? {} : { format };
        if (get(app)?.data_format !== format) events.append("data.format", { app, operation, detail });
        database.run("UPDATE apps SET data_format = ?, data_version = coalesce(?, data_version) WHERE app = ?", [
          format,
          version,
          app,
        ]);
      }),
    adoptData(app, { version, format }) {
      database.transaction(() => {
        const { changes } = database.run(
          "INSERT INTO apps (app, data_version, data_format) VALUES (?, ?, ?) ON CONFLICT (app) DO NOTHING",
          [app, version, format],
        );
        if (changes > 0) events.append("data.format", { app, detail: { format } });
      });
    },
  };
}

function from(previous: number | undefined): Record<string, number> {
  return previous === undefined ? {} : { previous };
}
