import * as z from "zod";
import { digestSchema } from "./digest.ts";

// What hostd tells about the system under it, where that is a host image.

const rootSchema = z.string().regex(/^[0-9a-f]{64}$/);

/** A bootable root, and the version that it is of, where a slot of it is here. */
const bootableSchema = z.object({ root: z.string(), image: digestSchema.optional(), version: z.string().optional() });

const driftSchema = z.object({ path: z.string(), how: z.enum(["changed", "removed"]) });

export const hostStatusSchema = z.object({
  /** The product; absent until hostd has adopted what the disk was laid down with. */
  product: z.string().optional(),
  /** What runs: the last good system, a trial of another, or neither, as when somebody chose it in the loader. */
  booted: bootableSchema.extend({ as: z.enum(["good", "trial", "other"]), root: rootSchema }),
  /** What the machine was started with, where hostd alone was exchanged since: nothing but hostd is `booted`'s then. */
  started: bootableSchema.optional(),
  good: bootableSchema.optional(),
  /** Entries of the ESP, newest first. */
  entries: z.array(
    bootableSchema.extend({
      name: z.string(),
      number: z.int(),
      size: z.int(),
      default: z.boolean(),
      tries: z.object({ left: z.int(), done: z.int() }).optional(),
    }),
  ),
  /** Whether the ESP holds the recovery entry. */
  recovery: z.boolean(),
  /** Bytes; absent where the ESP could not be read. */
  esp: z.object({ total: z.int(), free: z.int(), entries: z.int() }).optional(),
  /** Which part of this could not be told, and why: it is absent or empty then. */
  problem: z.string().optional(),
  /** Milliseconds of the boot that brought up what runs. */
  boot: z
    .object({ firmware: z.int().optional(), loader: z.int().optional(), kernel: z.int(), user: z.int().optional() })
    .optional(),
  /** Bytes of what runs: its layers as they lie on the disk, and its UKI. */
  size: z.object({ layers: z.int(), uki: z.int() }).optional(),
  /** What an activation without arguments leads to: whether hostd alone differs, whether it goes without a reboot, and why. */
  next: z
    .object({
      image: digestSchema,
      version: z.string(),
      hostdOnly: z.boolean(),
      live: z.boolean().default(false),
      why: z.string(),
    })
    .optional(),
  /** Files of /etc that differ from what image and config declare; the first thousand. */
  drift: z.array(driftSchema),
});

export type HostStatus = z.infer<typeof hostStatusSchema>;
