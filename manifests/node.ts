import * as z from "zod";
import { careDocumentSchema, lookDocumentSchema } from "./care.ts";
import { digestSchema } from "./digest.ts";
import { checkDocument } from "./document.ts";
import { hostStatusSchema } from "./host.ts";
import { snapshotDocumentSchema } from "./snapshot.ts";

// What hostd tells about itself over its socket: operations, status, changes. One file, since they quote each other.

export const OPERATION_KINDS = [
  "stage",
  "activate",
  "deploy",
  "run",
  "rollback",
  "configure",
  "reload",
  "restart",
  "halt",
  "remove",
  "snapshot",
  "forget",
  "prune",
  "upgrade",
  "deploy-host",
  "configure-host",
  "adopt",
] as const;
export const OPERATION_STATES = ["running", "reverting", "done", "failed"] as const;
export const SLOT_STATES = ["staged", "trial", "good", "failed"] as const;
export const GENERATION_STATES = ["trial", "good", "failed", "withdrawn"] as const;

export const HEALTH_VERDICTS = ["green", "red", "unknown"] as const;

const time = z.iso.datetime();

export const failureSchema = z.object({
  outcome: z.enum(["failed", "usage", "refused", "busy"]),
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

const stepDocumentSchema = z.object({
  name: z.string(),
  started: time.optional(),
  done: time.optional(),
  undone: time.optional(),
  detail: z.string().optional(),
});

/** One run of a job. Without `ended` it is under way, or the machine went down under it. */
export const runSchema = z.object({
  started: time,
  ended: time.optional(),
  /** As a shell would say it; absent where nobody could ask. */
  exitCode: z.int().optional(),
  signal: z.string().optional(),
  /** The kernel killed it, or a process of it, for want of memory. */
  oom: z.literal(true).optional(),
  /** hostd ended it: it took longer than its image allows. */
  timedOut: z.literal(true).optional(),
  /** The end of what it printed. */
  log: z.string().optional(),
});

export const operationDocumentSchema = z.object({
  schema: z.literal(1),
  id: z.int(),
  requestId: z.string(),
  kind: z.enum(OPERATION_KINDS),
  app: z.string(),
  by: z.string(),
  state: z.enum(OPERATION_STATES),
  /** What it is about, as soon as that is known. */
  image: digestSchema.optional(),
  version: z.string().optional(),
  /** Generations it leads from and to. */
  from: z.int().optional(),
  to: z.int().optional(),
  /** Milliseconds in which an app that binds its port itself took no connection, measured from outside. */
  gap: z.int().optional(),
  /** What it ran, where the app is a job. */
  run: runSchema.optional(),
  steps: z.array(stepDocumentSchema),
  /** Why it failed or was reverted. */
  reason: failureSchema.optional(),
  /** True once what it did was undone: the app runs what it ran before. */
  reverted: z.boolean(),
  /** Health of the old generation after a revert, judged apart from the failure. */
  afterwards: z.object({ healthy: z.boolean(), detail: z.string() }).optional(),
  /** What it decided and what it left, in words: data kept or taken back, quarantine, snapshots. */
  notes: z.array(z.string()),
  progress: z.object({ text: z.string(), fraction: z.number().optional() }).optional(),
  started: time,
  finished: time.optional(),
});

const slotDocumentSchema = z.object({
  image: digestSchema,
  version: z.string(),
  sequence: z.int(),
  channel: z.string(),
  state: z.enum(SLOT_STATES),
  /** Reason it is pinned. */
  pinned: z.string().optional(),
  /** Why this node will not run it again. */
  quarantined: z.string().optional(),
  staged: time,
  lastGood: time.optional(),
});

const generationDocumentSchema = z.object({
  number: z.int(),
  image: digestSchema,
  version: z.string(),
  state: z.enum(GENERATION_STATES),
  /** Version of the app's config, and the revision of the node's layers and secrets that it was made from. */
  config: z.int(),
  configRevision: z.int(),
  data: z.object({ version: z.string(), format: z.int() }).optional(),
  since: time,
});

export const checkDocumentSchema = z.object({
  check: z.string(),
  ok: z.boolean(),
  detail: z.string(),
  /** Milliseconds it took. */
  took: z.number(),
  at: time,
});

/** One limit of a recipe's LIMIT: bytes, percent of a processor, tasks, open files. */
const limitDocumentSchema = z.object({
  limit: z.enum(["memory", "cpu", "tasks", "files"]),
  declared: z.int(),
  /** What the kernel holds the process to; absent where it holds it to nothing. */
  inForce: z.int().optional(),
  held: z.boolean(),
});

const underWaySchema = z.object({
  operation: z.int(),
  kind: z.enum(OPERATION_KINDS),
  state: z.enum(OPERATION_STATES),
  by: z.string(),
  since: time,
  image: digestSchema.optional(),
  version: z.string().optional(),
  from: z.int().optional(),
  to: z.int().optional(),
  /** The step that is being done or undone, and what it says of itself. */
  step: z.string().optional(),
  text: z.string().optional(),
  /** Why it was begun by hostd itself, or why it is being taken back. */
  reason: z.string().optional(),
});

/** The host's own scripts: those of required.d gate a trial, wanted.d is told, green.d and red.d hear the verdict. */
const HOST_SCRIPT_KINDS = ["required.d", "wanted.d", "green.d", "red.d"] as const;

export const hostCheckSchema = z.object({
  /** `required.d/10-disk`. */
  check: z.string(),
  path: z.string(),
  outcome: z.enum(["ok", "failed", "timed-out", "skipped"]),
  exitCode: z.int().optional(),
  detail: z.string(),
  /** Milliseconds it took. */
  took: z.number(),
  at: time,
});

/** How what an app was given compares with what the node's layers say now. */
export const configStateSchema = z.object({
  /** Revision of the last change that concerns this app, and of what it runs with. */
  declared: z.int(),
  applied: z.int(),
  /** Files that would be others: what is declared is not what runs. */
  drift: z.array(z.string()),
  /** Why a switch would not take what is declared: it was taken back here, or cannot be rendered. */
  problem: z.string().optional(),
});

/** Who has an app stay at the version it runs, why, and until when; for good where no time is named. */
export const updateHoldSchema = z.object({ reason: z.string(), until: time.optional(), by: z.string(), since: time });

export const appStatusSchema = z.object({
  app: z.string(),
  health: z.enum(["healthy", "unhealthy", "judging", "stopped", "unknown"]),
  checks: z.array(checkDocumentSchema),
  /** Results of the host's own scripts in the last trial and after its verdict. */
  hostChecks: z.array(hostCheckSchema),
  /** Release last asked for; `current` says what runs. */
  target: z.object({ image: digestSchema, version: z.string(), sequence: z.int() }).optional(),
  current: generationDocumentSchema.optional(),
  /** What its live data is, also where no version of it is here. */
  data: z.object({ version: z.string(), format: z.int() }).optional(),
  /** The generation a rollback without arguments leads to. */
  rollbackTarget: generationDocumentSchema.optional(),
  /** Why hostd keeps the app stopped. */
  hold: z.string().optional(),
  /** No other version is switched to, other than back to one that ran before. */
  updatesHeld: updateHoldSchema.optional(),
  /** Why the app, which is sick, could not be started again: the node is at fault. hostd goes on trying. */
  hindered: z.string().optional(),
  process: z.object({ pid: z.int(), started: z.string() }).optional(),
  /** Of the process that runs; empty where its image declares none. */
  limits: z.array(limitDocumentSchema).default([]),
  /** Of a job that was ever started: its last run, and the operation that was for it. */
  lastRun: runSchema
    .extend({ operation: z.int(), generation: z.int(), version: z.string(), state: z.enum(OPERATION_STATES) })
    .optional(),
  slots: z.array(slotDocumentSchema),
  snapshots: z.array(snapshotDocumentSchema),
  /** Absent where nothing runs. */
  config: configStateSchema.optional(),
  /** Operations under way. */
  operations: z.array(z.int()),
  /** The same, told: what each does now, on what, and why. */
  underWay: z.array(underWaySchema),
});

export const quarantineDocumentSchema = z.object({
  image: digestSchema,
  app: z.string(),
  reason: z.string(),
  operation: z.int().optional(),
  since: time,
});

export const statusDocumentSchema = z.object({
  schema: z.literal(1),
  hostd: z.object({ version: z.string(), pid: z.int(), started: time, state: z.string(), repository: z.string() }),
  /** How layers are protected: checked whole before they are mounted, or by dm-verity on every read. */
  verity: z.enum(["checked-before-mount", "every-read"]),
  /** What keeps the data of apps, and how full the pool is that all of it shares, as parts of one. */
  data: z.object({
    driver: z.enum(["btrfs", "copy", "lvm"]),
    pool: z.object({ name: z.string(), data: z.number(), metadata: z.number() }).optional(),
  }),
  /** What is done by itself about what a channel releases; absent where nothing is. */
  follows: z
    .object({ channel: z.string(), how: z.enum(["stage", "activate"]), between: z.string().optional() })
    .optional(),
  apps: z.array(appStatusSchema),
  quarantine: z.array(quarantineDocumentSchema),
  /** What is wrong with the node itself, in words: it is red as long as that is so. */
  problems: z.array(z.string()).default([]),
  /** The system under the node, where that is a host image. */
  host: hostStatusSchema.optional(),
  /** The last time that every layer was read whole; absent since hostd's start means not yet. */
  scrub: careDocumentSchema.optional(),
  /** The last time that journal, versions and snapshots were looked after. */
  care: lookDocumentSchema.optional(),
});

export const changesDocumentSchema = z.object({ schema: z.literal(1), changes: z.array(operationDocumentSchema) });
export const healthDocumentSchema = z.object({
  schema: z.literal(1),
  healthy: z.boolean(),
  /** Green: all well. Red: one is sick or kept stopped, or the node has a problem. Unknown: one is being judged, or was not looked at yet. */
  verdict: z.enum(HEALTH_VERDICTS),
  problems: statusDocumentSchema.shape.problems,
  apps: z.array(
    appStatusSchema.pick({
      app: true,
      health: true,
      checks: true,
      hostChecks: true,
      hold: true,
      hindered: true,
      lastRun: true,
    }),
  ),
});

export const logDocumentSchema = z.object({
  schema: z.literal(1),
  app: z.string(),
  generation: z.int().optional(),
  version: z.string().optional(),
  /** The last 64 KiB at most. */
  log: z.string(),
});

export type LimitDocument = z.infer<typeof limitDocumentSchema>;
export type LogDocument = z.infer<typeof logDocumentSchema>;
export type JobRun = z.infer<typeof runSchema>;
export type OperationKind = (typeof OPERATION_KINDS)[number];
export type OperationState = (typeof OPERATION_STATES)[number];
export type SlotState = (typeof SLOT_STATES)[number];
export type GenerationState = (typeof GENERATION_STATES)[number];
export type OperationDocument = z.infer<typeof operationDocumentSchema>;
export type StepDocument = z.infer<typeof stepDocumentSchema>;
export type SlotDocument = z.infer<typeof slotDocumentSchema>;
export type GenerationDocument = z.infer<typeof generationDocumentSchema>;
export type ConfigState = z.infer<typeof configStateSchema>;
export type UpdateHold = z.infer<typeof updateHoldSchema>;
export type AppStatus = z.infer<typeof appStatusSchema>;
export type StatusDocument = z.infer<typeof statusDocumentSchema>;
export type QuarantineDocument = z.infer<typeof quarantineDocumentSchema>;
export type HostCheck = z.infer<typeof hostCheckSchema>;
export type HostScriptKind = (typeof HOST_SCRIPT_KINDS)[number];
export type UnderWay = z.infer<typeof underWaySchema>;
export type HealthVerdict = (typeof HEALTH_VERDICTS)[number];
export type CheckResult = z.infer<typeof checkDocumentSchema>;
export type ChangesDocument = z.infer<typeof changesDocumentSchema>;
export type HealthDocument = z.infer<typeof healthDocumentSchema>;

export function parseStatus(value: unknown): StatusDocument {
  return checkDocument(value, statusDocumentSchema, "hostd status");
}

export function parseOperation(value: unknown): OperationDocument {
  return checkDocument(value, operationDocumentSchema, "hostd operation");
}

const digestExample = `sha256:${"0".repeat(64)}` as const;

export const operationExample: OperationDocument = {
  schema: 1,
  id: 12,
  requestId: "0b8f7c0e",
  kind: "activate",
  app: "shop",
  by: "ann@laptop",
  state: "failed",
  image: digestExample,
  version: "1.5.0",
  from: 3,
  to: 4,
  steps: [{ name: "mount", started: "2026-11-21T03:00:00.000Z", done: "2026-11-21T03:00:00.020Z" }],
  reason: {
    outcome: "failed",
    code: "unhealthy",
    message: "http://localhost:8080/healthz: expected status 2xx, got 500",
  },
  reverted: true,
  afterwards: { healthy: true, detail: "healthy for 10000 ms" },
  notes: ["kept the data written meanwhile (format 2)"],
  started: "2026-11-21T03:00:00.000Z",
  finished: "2026-11-21T03:00:31.000Z",
};
