import * as z from "zod";
import { configStateSchema } from "./node.ts";

// What hostd tells about the config of a node over its socket. Secrets have names and revisions here, never values.

const time = z.iso.datetime();

const valueSchema = z.object({
  /** Names joined by points: `db.host`. */
  path: z.string(),
  /** A scalar or a list. */
  value: z.unknown(),
  /** `release`, `global`, `site`, `group`, `node` or `app/NAME`, and the file and line in it. */
  layer: z.string(),
  file: z.string(),
  line: z.int(),
  /** Whether a template reads it. */
  used: z.boolean(),
});

const secretSchema = z.object({
  /** `NAME`, or `APP/NAME` where it is one app's alone. */
  name: z.string(),
  revision: z.int(),
});

const layerSchema = z.object({
  layer: z.string(),
  file: z.string(),
  /** SHA-256 of its text: nodes with the same one have the same layer. */
  digest: z.string(),
  revision: z.int(),
  by: z.string(),
  at: time,
});

/** The whole node: its layers, what they come to for every app, and which apps run with something else. */
export const nodeConfigSchema = z.object({
  schema: z.literal(1),
  revision: z.int(),
  layers: z.array(layerSchema),
  values: z.array(valueSchema),
  secrets: z.array(secretSchema),
  apps: z.array(z.object({ app: z.string(), config: configStateSchema.optional() })),
  /** What was said and nobody reads, in words. */
  warnings: z.array(z.string()),
});

/** One app: every value that holds for it, with where it comes from. */
export const appConfigSchema = z.object({
  schema: z.literal(1),
  app: z.string(),
  revision: z.int(),
  values: z.array(valueSchema),
  secrets: z.array(secretSchema.extend({ used: z.boolean() })),
  config: configStateSchema.optional(),
});

/** What a switch would change in an app's files. */
export const configDiffSchema = z.object({
  schema: z.literal(1),
  app: z.string(),
  /** Config version and revision that run, and the revision that the switch would take. */
  version: z.int().optional(),
  from: z.int().optional(),
  to: z.int(),
  /** How the app would learn of it. */
  how: z.enum(["nothing", "reload", "restart", "start", "live"]),
  files: z.array(z.object({ path: z.string(), diff: z.string() })),
});

const configChangeSchema = z.object({
  revision: z.int(),
  kind: z.enum(["layer", "secret"]),
  /** A layer or a secret. */
  subject: z.string(),
  file: z.string().optional(),
  digest: z.string().optional(),
  by: z.string(),
  at: time,
});

export const configHistorySchema = z.object({ schema: z.literal(1), changes: z.array(configChangeSchema) });

export type NodeConfig = z.infer<typeof nodeConfigSchema>;
export type AppConfig = z.infer<typeof appConfigSchema>;
export type ConfigDiff = z.infer<typeof configDiffSchema>;
export type ConfigHistory = z.infer<typeof configHistorySchema>;
