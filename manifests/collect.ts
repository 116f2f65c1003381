import * as z from "zod";
import { checkDocument } from "./document.ts";
import {
  appStatusSchema,
  HEALTH_VERDICTS,
  OPERATION_KINDS,
  OPERATION_STATES,
  quarantineDocumentSchema,
  statusDocumentSchema,
} from "./node.ts";

// What a centre polls from a node: one document, so that one request tells all of it at one moment.

const time = z.iso.datetime();

export const machineSchema = z.object({
  hostname: z.string(),
  /** `6.1.0-18-amd64`. */
  kernel: z.string(),
  arch: z.string(),
  /** Seconds since the machine started. */
  uptime: z.number(),
  /** Over 1, 5 and 15 minutes. */
  load: z.array(z.number()),
  /** Bytes. */
  memory: z.object({ total: z.number(), free: z.number() }),
  /** The file system of the state directory, bytes. */
  disk: z.object({ path: z.string(), total: z.number(), free: z.number() }),
});

const updateSchema = z.object({
  operation: z.int(),
  kind: z.enum(OPERATION_KINDS),
  state: z.enum(OPERATION_STATES),
  by: z.string(),
  version: z.string().optional(),
  reverted: z.boolean(),
  reason: z.string().optional(),
  started: time,
  finished: time.optional(),
});

export const collectDocumentSchema = z.object({
  schema: z.literal(1),
  at: time,
  machine: machineSchema,
  hostd: statusDocumentSchema.shape.hostd.extend({
    /** Resident memory, bytes. */
    memory: z.number(),
    /** Seconds of processor time since it started. */
    cpu: z.number(),
    uptime: z.number(),
  }),
  verity: statusDocumentSchema.shape.verity,
  data: statusDocumentSchema.shape.data,
  health: z.enum(HEALTH_VERDICTS),
  apps: z.array(
    appStatusSchema.extend({
      /** The last activation, deployment, rollback or change of config. */
      lastUpdate: updateSchema.optional(),
      /** Seconds that the last completed staging took. */
      stageSeconds: z.number().optional(),
      /** How often it was started again because it was sick or somebody asked for it, ever. */
      restarts: z.int(),
    }),
  ),
  quarantine: z.array(quarantineDocumentSchema),
  problems: statusDocumentSchema.shape.problems,
  host: statusDocumentSchema.shape.host,
  scrub: statusDocumentSchema.shape.scrub,
  care: statusDocumentSchema.shape.care,
});

export type CollectDocument = z.infer<typeof collectDocumentSchema>;
export type Machine = z.infer<typeof machineSchema>;
export type LastUpdate = z.infer<typeof updateSchema>;

export function parseCollect(value: unknown): CollectDocument {
  return checkDocument(value, collectDocumentSchema, "hostd collect");
}
