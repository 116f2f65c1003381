import * as z from "zod";
import { appSchema } from "./app.ts";
import { digestSchema } from "./digest.ts";
import { parseDocument } from "./document.ts";
import { parseTime } from "./duration.ts";
import { fleetNameSchema, nodeSchema } from "./inventory.ts";

// How a release goes over many nodes: the file that says so, and the record of one that does.

const ROLLOUT_LIMIT = 16 * 1024 * 1024;

const DURATION = "expected a time such as 90s, 10m, 24h or 7d";
const duration = z.string(DURATION).refine((text) => parseTime(text) !== undefined, DURATION);
const address = z
  .string()
  .max(254)
  .regex(/^[^\s@<>,;]+@[^\s@<>,;]+$/, "expected a mail address");
const oneOrMore = <T extends z.ZodType>(one: T) => z.union([one.transform((value) => [value]), z.array(one).min(1)]);

/** One of: what is done when a wave went well, or when it did not. */
const actionSchema = z
  .strictObject({
    mail: oneOrMore(address).optional(),
    webhook: z.url({ protocol: /^https?$/, error: "expected an http(s) address" }).optional(),
    /** A program of the operator's machine and its words. */
    run: z.array(z.string()).min(1).optional(),
    wait: duration.optional(),
    approve: duration.optional(),
    revert: z.enum(["wave", "rollout"], "expected wave or rollout").optional(),
  })
  .refine((action) => Object.keys(action).length === 1, "expected one action an item");

const successSchema = z
  .array(actionSchema.refine(({ revert }) => revert === undefined, "revert stands under failure"))
  .max(32);
const failureSchema = z
  .array(
    actionSchema.refine(
      ({ wait, approve }) => wait === undefined && approve === undefined,
      "wait and approve stand under success",
    ),
  )
  .max(32);

const shareSchema = z.union(
  [
    z.int().min(1),
    z.string().regex(/^(?:100|[1-9]\d?)%$/),
    z.literal("rest"),
    fleetNameSchema, //
  ],
  "expected a number of nodes, a part such as 10%, a group, or rest",
);

const waveSchema = z.strictObject({
  nodes: shareSchema,
  /** Nodes of it that may fail before the wave does. */
  tolerate: z.int().min(0).default(0),
  success: successSchema.optional(),
  failure: failureSchema.optional(),
});

export const rolloutFileSchema = z.strictObject({
  product: appSchema.shape.name,
  channel: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "expected a channel's name")
    .default("production"),
  /** Groups and nodes of the inventory, in this order. */
  nodes: oneOrMore(z.union([z.literal("all"), fleetNameSchema])).default(["all"]),
  /** What is staged before the first node switches: the wave, or every node of the rollout. */
  prepare: z.enum(["wave", "all"], "expected wave or all").default("wave"),
  /** Nodes that are worked on at a time. */
  parallel: z.int().min(1).max(64).default(8),
  /** Of a host: seconds within which its new system must be reached. */
  confirmWithin: z.int().min(1).max(86_400).default(300),
  mail: z
    .strictObject({
      from: address,
      /** `smtp://mail.example.org:587`; without it the machine's own sendmail takes it. */
      server: z.url({ protocol: /^smtps?$/, error: "expected smtp:// or smtps://" }).optional(),
    })
    .optional(),
  waves: z.array(waveSchema, "expected a list of waves, each with its nodes").min(1).max(100),
  /** For waves that have none of their own. */
  success: successSchema.default([]),
  failure: failureSchema.default([]),
});

/** `lost`: it may run either version, nobody could ask it. `stuck`: it could not be taken back. */
const NODE_STATES = [
  "waiting",
  "prepared",
  "switching",
  "switched",
  "failed",
  "lost",
  "reverting",
  "reverted",
  "stuck",
] as const;

const time = z.iso.datetime();

const rolloutNodeSchema = nodeSchema.pick({ name: true, key: true }).extend({
  /** From 0 on; absent where no wave takes it. */
  wave: z.int().optional(),
  state: z.enum(NODE_STATES),
  /** What it ran before; absent where it ran nothing. */
  before: digestSchema.optional(),
  /** The node's number of the operation that its state is from. */
  operation: z.int().optional(),
  /** Why it is not where it should be. */
  message: z.string().optional(),
});

const PHASES = ["prepare", "switch", "success", "failure"] as const;

const rolloutSchema = z.strictObject({
  schema: z.literal(1),
  /** Product and number: `shop-3`. */
  id: z.string().regex(/^[a-z0-9][a-z0-9._-]*-[1-9]\d{0,8}$/),
  by: z.string(),
  file: rolloutFileSchema,
  release: z.strictObject({ version: z.string(), image: digestSchema, sequence: z.int() }),
  /** Whether the product is the nodes' system, so that a switch starts them anew. */
  host: z.boolean(),
  state: z.enum(["running", "done", "failed"]),
  /** Where it stands: wave and action from 0 on, and since when. */
  at: z.strictObject({ wave: z.int(), phase: z.enum(PHASES), action: z.int(), since: time }),
  nodes: z.array(rolloutNodeSchema),
  /** Why its failure branch was taken. */
  reason: z.string().optional(),
  notes: z.array(z.strictObject({ at: time, text: z.string() })),
  started: time,
  finished: time.optional(),
});

export type RolloutFile = z.infer<typeof rolloutFileSchema>;
export type Wave = RolloutFile["waves"][number];
export type Action = z.infer<typeof actionSchema>;
export type Rollout = z.infer<typeof rolloutSchema>;
export type RolloutNode = Rollout["nodes"][number];
export type Phase = (typeof PHASES)[number];

/** The record of a rollout from bytes; `what` names the file in errors. */
export function parseRollout(bytes: Uint8Array, what = "rollout"): Rollout {
  return parseDocument(bytes, rolloutSchema, what, ROLLOUT_LIMIT);
}

export const rolloutExample: Rollout = {
  schema: 1,
  id: "shop-3",
  by: "ann@laptop",
  file: {
    product: "shop",
    channel: "production",
    nodes: ["all"],
    prepare: "wave",
    parallel: 8,
    confirmWithin: 300,
    waves: [
      { nodes: "10%", tolerate: 0, success: [{ approve: "24h" }] },
      { nodes: "rest", tolerate: 1 },
    ],
    success: [],
    failure: [{ revert: "rollout" }],
  },
  release: { version: "1.5.0", image: `sha256:${"0".repeat(64)}`, sequence: 7 },
  host: false,
  state: "running",
  at: { wave: 0, phase: "success", action: 0, since: "2026-11-21T03:00:00.000Z" },
  nodes: [{ name: "web-1", key: `SHA256:${"a".repeat(43)}`, wave: 0, state: "switched", operation: 12 }],
  notes: [],
  started: "2026-11-21T03:00:00.000Z",
};
