import * as z from "zod";
import { digestSchema } from "../../manifests/digest.ts";
import { checkDocument } from "../../manifests/document.ts";
import { runSchema } from "../../manifests/node.ts";
import { hostPlanSchema } from "../host/plan.ts";
import { switchPlanSchema } from "../switch/plan.ts";

/** What staging found out and goes on with after a restart; the documents were verified against the signed release. */
const stagePlanSchema = z.object({
  channel: z.string(),
  /** The version that is brought again; without it, what the channel releases. */
  image: digestSchema.optional(),
  /** Bytes per second, where the request named a limit of its own. */
  rate: z.number().positive().optional(),
  found: z
    .object({
      image: digestSchema,
      sequence: z.int(),
      version: z.string(),
      declared: z.record(z.string(), z.string()),
      manifest: z.string(),
      config: z.string(),
      order: z.int().optional(),
    })
    .optional(),
});

/** Everything an operation needs to go on, or back, after a crash: kept in the journal. */
const planSchema = z.object({
  stage: stagePlanSchema.optional(),
  /** The image an activation was asked for. */
  image: digestSchema.optional(),
  switch: switchPlanSchema.optional(),
  host: hostPlanSchema.optional(),
  /** Seconds in which the pusher of a host's upgrade confirms it over a new connection, where that was asked for. */
  confirmWithin: z.int().positive().optional(),
  /** Whether the host reboots even where hostd alone could be exchanged. */
  reboot: z.boolean().optional(),
  /** Why somebody takes a version that the policy is against. */
  breakGlass: z.string().optional(),
  /** Milliseconds in which the app took no connection. */
  gap: z.int().optional(),
  /** The run of a job that this operation began, and how it ended once that is known. */
  run: runSchema.optional(),
  /** The revision of layers and secrets that a switch of config alone is for. */
  revision: z.int().nonnegative().optional(),
  /** The version of its config that a rollback of config alone leads to. */
  config: z.int().optional(),
  /** Newest versions that pruning keeps, where a request said so. */
  keep: z.int().positive().optional(),
  /** A restart that leaves alone what runs. */
  unlessRunning: z.boolean().optional(),
  /** Whether the data of an app that is removed goes too. */
  wipe: z.boolean().optional(),
  /** Snapshots to forget. */
  forget: z.array(z.string()).optional(),
  /** Why hostd itself began it, or by whom and why an app was stopped. */
  cause: z.string().optional(),
});

export type Plan = z.infer<typeof planSchema>;

export function parsePlan(value: unknown, operation: number): Plan {
  return checkDocument(value, planSchema, `plan of operation ${operation}`);
}
