import * as z from "zod";
import { machineSchema } from "./collect.ts";
import { eventDocumentSchema } from "./event.ts";
import { checkDocumentSchema, failureSchema, hostCheckSchema, operationDocumentSchema } from "./node.ts";

const processSchema = z.object({
  generation: z.int(),
  pid: z.int(),
  startedAt: z.string(),
  exited: z
    .object({
      code: z.int().optional(),
      signal: z.string().optional(),
      oom: z.literal(true).optional(),
      at: z.string(),
    })
    .optional(),
});

/** What the boot of a host's trial left behind. */
const bootLeftSchema = z.object({
  root: z.string(),
  /** The end of its journal, as far as it reached the disk. */
  journal: z.string(),
  /** The kernel's last words (pstore). */
  records: z.string(),
  /** What initrd and guard said. */
  log: z.array(z.string()),
});

export type BootLeft = z.infer<typeof bootLeftSchema>;

/** What is kept of a failed operation, across its revert: enough to say why it failed when nothing else is left. */
export const failureBundleSchema = z.object({
  schema: z.literal(1),
  app: z.string(),
  generation: z.int().optional(),
  reason: failureSchema,
  checks: z.array(checkDocumentSchema),
  hostChecks: z.array(hostCheckSchema).default([]),
  processes: z.array(processSchema),
  /** The end of the failed generation's own log. */
  log: z.string(),
  /** The machine at the moment of the failure. */
  machine: machineSchema.optional(),
  boot: bootLeftSchema.optional(),
  operation: operationDocumentSchema,
  events: z.array(eventDocumentSchema).default([]),
});

export type FailureBundle = z.infer<typeof failureBundleSchema>;
