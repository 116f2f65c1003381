import * as z from "zod";
import type { SnapshotDocument } from "../../manifests/node.ts";
import { HostdError } from "../error.ts";
import type { Database } from "./database.ts";
import type { Events } from "./events.ts";
import type { Operations } from "./operations.ts";

const row = z.object({
  id: z.string(),
  app: z.string(),
  format: z.int(),
  operation: z.int(),
  generation: z.int().optional(),
  reason: z.string(),
  taken_at: z.string(),
});

/** What each data snapshot holds: the driver keeps the bytes, the journal says what they are. */
export interface Snapshots {
  /** Newest first. */
  list(app: string): SnapshotDocument[];
  get(app: string, id: string): SnapshotDocument | undefined;
  require(app: string, id: string): SnapshotDocument;
  add(snapshot: Omit<SnapshotDocument, "taken">): void;
  remove(operation: number, app: string, id: string): void;
}

export function openSnapshots(database: Database, events: Events, operations: Operations, date: () => Date): Snapshots {
  const list = (app: string) =>
    database.all(row, "SELECT * FROM snapshots WHERE app = ? ORDER BY taken_order DESC", [app]).map(toDocument);
  const get = (app: string, id: string) => list(app).find((snapshot) => snapshot.id === id);

  return {
    list,
    get,
    require(app, id) {
      const found = get(app, id);
      if (found !== undefined) return found;
      const known = list(app).map((snapshot) => snapshot.id);
      throw new HostdError("unknown-snapshot", `${app} has no snapshot ${JSON.stringify(id)}`, {
        hint: known.length === 0 ? `${app} has no snapshots` : `it has ${known.join(", ")}`,
      });
    },
    add(snapshot) {
      database.transaction(() => {
        operations.requireLock(snapshot.operation, snapshot.app, "switch");
        if (get(snapshot.app, snapshot.id) !== undefined) return;
        database.run(
          `INSERT INTO snapshots (id, app, format, operation, generation, reason, taken_at, taken_order)
           VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(taken_order), 0) + 1 FROM snapshots))`,
          [
            snapshot.id,
            snapshot.app,
            snapshot.format,
            snapshot.operation,
            snapshot.generation,
            snapshot.reason,
            date().toISOString(),
          ],
        );
        const { id, format, reason } = snapshot;
        events.append("snapshot.taken", {
          app: snapshot.app,
          operation: snapshot.operation,
          detail: { id, format, reason },
        });
      });
    },
    remove(operation, app, id) {
      database.transaction(() => {
        const { changes } = database.run("DELETE FROM snapshots WHERE app = ? AND id = ?", [app, id]);
        if (changes > 0) events.append("snapshot.forgotten", { app, operation, detail: { id } });
      });
    },
  };
}

function toDocument({ taken_at: taken, generation, ...rest }: z.infer<typeof row>): SnapshotDocument {
  return { ...rest, ...(generation === undefined ? {} : { generation }), taken };
}
