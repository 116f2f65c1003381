import { createHash } from "node:crypto";
import * as z from "zod";
import { canonicalJson } from "../../manifests/document.ts";
import { type EventDocument, type EventKind, eventKindSchema } from "../../manifests/event.ts";
import { type Database, json } from "./database.ts";

/** What the first event names as the hash of the one before it. */
const FIRST_HASH = "0".repeat(64);

/** Most events of one operation that are told at once. */
const MOST_OF_ONE = 500;

const row = z.object({
  id: z.int(),
  at: z.string(),
  kind: eventKindSchema,
  app: z.string().optional(),
  operation: z.int().optional(),
  detail: json(z.record(z.string(), z.unknown())),
  previous: z.string(),
  hash: z.string(),
});

export interface EventAbout {
  app?: string | undefined;
  operation?: number | undefined;
  detail?: Record<string, unknown>;
}

/** The append-only log of what hostd did; each event holds the hash of the one before. */
export interface Events {
  append(kind: EventKind, about: EventAbout): void;
  /** Events of one operation, oldest first. */
  of(operation: number): EventDocument[];
  /** Oldest first: the first so many after an id, so that nobody who reads on misses one; else the newest so many. */
  list(filter: { app?: string | undefined; after?: number | undefined; limit: number }): EventDocument[];
}

export function openEvents(database: Database, date: () => Date): Events {
  return {
    append(kind, about) {
      database.transaction(() => {
        const last = database.one(
          z.object({ id: z.int(), hash: z.string() }),
          "SELECT id, hash FROM events ORDER BY id DESC LIMIT 1",
        );
        const event = {
          schema: 1 as const,
          id: (last?.id ?? 0) + 1,
          at: date().toISOString(),
          kind,
          ...(about.app === undefined ? {} : { app: about.app }),
          ...(about.operation === undefined ? {} : { operation: about.operation }),
          detail: about.detail ?? {},
          previous: last?.hash ?? FIRST_HASH,
        };
        database.run(
          "INSERT INTO events (id, at, kind, app, operation, detail, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
          [
            event.id,
            event.at,
            kind,
            about.app,
            about.operation,
            JSON.stringify(event.detail),
            event.previous,
            eventHash(event),
          ],
        );
      });
    },
    list({ app, after, limit }) {
      const rows = database.all(
        row,
        `SELECT * FROM events WHERE id > ? AND (? IS NULL OR app = ?)
          ORDER BY id ${after === undefined ? "DESC" : "ASC"} LIMIT ?`,
        [after ?? 0, app, app, limit],
      );
      const events = rows.map((event) => ({ schema: 1 as const, ...event }));
      return after === undefined ? events.reverse() : events;
    },
    of: (operation) =>
      database
        .all(row, "SELECT * FROM events WHERE operation = ? ORDER BY id LIMIT ?", [operation, MOST_OF_ONE])
        .map((event) => ({ schema: 1 as const, ...event })),
  };
}

/** The hash of an event: SHA-256 over its canonical JSON, which holds the hash of the event before. */
function eventHash(event: Omit<EventDocument, "hash">): string {
  return createHash("sha256").update(canonicalJson(event)).digest("hex");
}

/** The id of the first event whose chain is broken; undefined where the events, oldest first, hold together. */
export function brokenEvent(events: readonly EventDocument[]): number | undefined {
  let previous = events[0]?.previous;
  for (const { hash, ...event } of events) {
    if (event.previous !== previous || eventHash(event) !== hash) return event.id;
    previous = hash;
  }
  return undefined;
}
