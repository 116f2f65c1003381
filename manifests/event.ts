import * as z from "zod";
import { checkDocument } from "./document.ts";

// The append-only event log of a node.

/** Stable kinds of the append-only event log; a kind is never renamed or given a second meaning. */
const EVENT_KINDS = [
  "hostd.started",
  "hostd.stopped",
  "operation.started",
  "operation.resumed",
  "operation.reverting",
  "operation.done",
  "operation.failed",
  "slot.staged",
  "slot.good",
  "slot.failed",
  "slot.collected",
  "slot.pinned",
  "slot.unpinned",
  "generation.current",
  "data.format",
  "config.set",
  "secret.set",
  "secret.forgotten",
  "secret.unreadable",
  "snapshot.taken",
  "snapshot.restored",
  "snapshot.forgotten",
  "snapshot.damaged",
  "quarantine.added",
  "quarantine.released",
  "quarantine.superseded",
  "app.started",
  "app.adopted",
  "app.sick",
  "app.held",
  "app.unheld",
  "app.removed",
  "updates.held",
  "updates.released",
  "leftover.removed",
  "leftover.stays",
  "layer.damaged",
  "layer.repaired",
  "host.armed",
  "host.confirmed",
  "host.glass-broken",
  "host.repaired",
] as const;

/** A newer hostd may have written others, before a revert to this one. */
export const eventKindSchema = z.enum(EVENT_KINDS).or(z.string().regex(/^[a-z]+\.[a-z-]+$/));

export const eventDocumentSchema = z.object({
  schema: z.literal(1),
  id: z.int(),
  at: z.iso.datetime(),
  kind: eventKindSchema,
  app: z.string().optional(),
  operation: z.int().optional(),
  detail: z.record(z.string(), z.unknown()),
  /** SHA-256 of the event before, and of this one with that in it: a removed or changed event breaks the chain. */
  previous: z.string(),
  hash: z.string(),
});

export const eventsDocumentSchema = z.object({ schema: z.literal(1), events: z.array(eventDocumentSchema) });

export type EventKind = (typeof EVENT_KINDS)[number];
export type EventDocument = z.infer<typeof eventDocumentSchema>;
export type EventsDocument = z.infer<typeof eventsDocumentSchema>;

export function parseEvent(value: unknown): EventDocument {
  return checkDocument(value, eventDocumentSchema, "hostd event");
}

export const eventExample: EventDocument = {
  schema: 1,
  id: 40,
  at: "2026-11-21T03:00:31.000Z",
  kind: "operation.failed",
  app: "shop",
  operation: 12,
  detail: { code: "unhealthy" },
  previous: "1".repeat(64),
  hash: "2".repeat(64),
};
