import * as z from "zod";
import { type Digest, digestSchema, shortDigest } from "../../manifests/digest.ts";
import type { QuarantineDocument } from "../../manifests/node.ts";
import { HostdError } from "../error.ts";
import type { Database } from "./database.ts";
import type { Events } from "./events.ts";

const row = z.object({
  image: digestSchema,
  app: z.string(),
  reason: z.string(),
  operation: z.int().optional(),
  since: z.string(),
});

/** What is quarantined of an app and older than one of its versions; than what is not here any more only the newest release counts as newer. */
const OLDER = `SELECT quarantine.* FROM quarantine
  JOIN apps USING (app)
  JOIN slots AS good ON good.app = quarantine.app AND good.image = ?
  LEFT JOIN slots AS bad ON bad.app = quarantine.app AND bad.image = quarantine.image
  WHERE quarantine.app = ? AND lifted_at IS NULL AND coalesce(bad.sequence, apps.floor - 1) < good.sequence
  ORDER BY id`;

/** Versions this node will not run again until somebody releases them or a newer one took their place. */
export interface Quarantine {
  list(app?: string): QuarantineDocument[];
  of(app: string, image: Digest): QuarantineDocument | undefined;
  /** Throws where the image is quarantined; the error says why and how to lift it. */
  refuse(app: string, image: Digest): void;
  add(operation: number, app: string, image: Digest, reason: string): void;
  /** Lifts it by hand; false where there was nothing to lift. */
  release(image: Digest, by: string): boolean;
  /** Called when a version of the app became good: what older ones were quarantined for is history. */
  supersede(operation: number, app: string, by: Digest): void;
}

export function openQuarantine(database: Database, events: Events, date: () => Date): Quarantine {
  const lift = (entry: QuarantineDocument, by: string) =>
    database.run(
      "UPDATE quarantine SET lifted_at = ?, lifted_by = ? WHERE app = ? AND image = ? AND lifted_at IS NULL",
      [date().toISOString(), by, entry.app, entry.image],
    );
  const list = (app?: string) =>
    database.all(row, "SELECT * FROM quarantine WHERE lifted_at IS NULL AND (? IS NULL OR app = ?) ORDER BY id", [
      app,
      app,
    ]);
  const of = (app: string, image: Digest) => list(app).find((entry) => entry.image === image);

  return {
    list,
    of,
    refuse(app, image) {
      const entry = of(app, image);
      if (entry === undefined) return;
      throw new HostdError("quarantined", `${app} ${shortDigest(image)} is quarantined on this node: ${entry.reason}`, {
        hint: `hostd release ${shortDigest(image)} lifts it; a new release of ${app} needs nothing`,
        details: { app, image, operation: entry.operation, since: entry.since },
      });
    },
    add(operation, app, image, reason) {
      database.transaction(() => {
        if (of(app, image) !== undefined) return;
        database.run("INSERT INTO quarantine (app, image, reason, operation, since) VALUES (?, ?, ?, ?, ?)", [
          app,
          image,
          reason,
          operation,
          date().toISOString(),
        ]);
        events.append("quarantine.added", { app, operation, detail: { image, reason } });
      });
    },
    release: (image, by) =>
      database.transaction(() => {
        const entries = list().filter((entry) => entry.image === image);
        for (const entry of entries) {
          lift(entry, by);
          events.append("quarantine.released", { app: entry.app, detail: { image, by } });
        }
        return entries.length > 0;
      }),
    supersede(operation, app, by) {
      database.transaction(() => {
        for (const entry of database.all(row, OLDER, [by, app])) {
          lift(entry, `superseded by ${by}`);
          events.append("quarantine.superseded", { app, operation, detail: { image: entry.image, by } });
        }
      });
    },
  };
}
