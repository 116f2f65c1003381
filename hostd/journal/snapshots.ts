import * as z from "zod";
import {
  CONSISTENCIES,
  type RecordedDigest,
  recordedDigestSchema,
  type SnapshotDocument,
} from "../../manifests/snapshot.ts";
import { HostdError } from "../error.ts";
import { type Database, json } from "./database.ts";
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
  consistency: z.enum(CONSISTENCIES),
  expires_at: z.string().optional(),
  digest: json(recordedDigestSchema).optional(),
});

/** What each data snapshot holds: the driver keeps the bytes, the journal says what they are. */
export interface Snapshots {
  /** Newest first. */
  list(app: string): SnapshotDocument[];
  get(app: string, id: string): SnapshotDocument | undefined;
  require(app: string, id: string): SnapshotDocument;
  add(snapshot: Omit<SnapshotDocument, "taken" | "digest" | "expires"> & { expires: string | undefined }): void;
  /** What a first whole reading found; later ones never change it. */
  record(app: string, id: string, digest: RecordedDigest): void;
  /** Since when it is not what was recorded; undefined: it is. */
  damage(app: string, id: string, since: string | undefined): void;
  /** From now on it is not there any more, whatever happens to its bytes; `stay` takes that back. */
  leave(operation: number, app: string, id: string): void;
  stay(app: string, id: string): void;
  /** Those whose bytes may still have to go. */
  leaving(app: string): string[];
  /** The bytes are gone. */
  remove(app: string, id: string, operation?: number): void;
}

export function openSnapshots(database: Database, events: Events, operations: Operations, date: () => Date): Snapshots {
  const list = (app: string) =>
    database
      .all(row, "SELECT * FROM snapshots WHERE app = ? AND leaving = 0 ORDER BY taken_order DESC", [app])
      .map(toDocument);
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
          `INSERT INTO snapshots (id, app, format, operation, generation, reason, taken_at, consistency, expires_at, taken_order)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(taken_order), 0) + 1 FROM snapshots))`,
          [
            snapshot.id,
            snapshot.app,
            snapshot.format,
            snapshot.operation,
            snapshot.generation,
            snapshot.reason,
            date().toISOString(),
            snapshot.consistency,
            snapshot.expires,
          ],
        );
        const { id, format, reason, consistency } = snapshot;
        events.append("snapshot.taken", {
          app: snapshot.app,
          operation: snapshot.operation,
          detail: { id, format, reason, consistency },
        });
      });
    },
    record: (app, id, digest) =>
      void database.run("UPDATE snapshots SET digest = ? WHERE app = ? AND id = ? AND digest IS NULL", [
        JSON.stringify(digest),
        app,
        id,
      ]),
    damage: (app, id, since) =>
      void database.run(
        "UPDATE snapshots SET digest = json_patch(digest, json_object('damaged', ?)) WHERE app = ? AND id = ?",
        [since, app, id],
      ),
    leave(operation, app, id) {
      database.transaction(() => {
        operations.requireLock(operation, app, "switch");
        database.run("UPDATE snapshots SET leaving = 1 WHERE app = ? AND id = ?", [app, id]);
      });
    },
    stay: (app, id) => void database.run("UPDATE snapshots SET leaving = 0 WHERE app = ? AND id = ?", [app, id]),
    leaving: (app) =>
      database
        .all(z.object({ id: z.string() }), "SELECT id FROM snapshots WHERE app = ? AND leaving = 1", [app])
        .map(({ id }) => id),
    remove(app, id, operation) {
      database.transaction(() => {
        const { changes } = database.run("DELETE FROM snapshots WHERE app = ? AND id = ?", [app, id]);
        if (changes > 0) events.append("snapshot.forgotten", { app, operation, detail: { id } });
      });
    },
  };
}

function toDocument(found: z.infer<typeof row>): SnapshotDocument {
  const { taken_at: taken, expires_at: expires, generation, digest, ...rest } = found;
  return {
    ...rest,
    ...(generation === undefined ? {} : { generation }),
    taken,
    ...(expires === undefined ? {} : { expires }),
    ...(digest === undefined ? {} : { digest }),
  };
}
