import * as z from "zod";
import { parseDocument } from "./document.ts";

// The nodes that an operator reaches. A node is its SSH host key: its name and its address may change.

const INVENTORY_LIMIT = 4 * 1024 * 1024;

/** Words that mean something else where a name may stand. */
const RESERVED: ReadonlySet<string> = new Set(["all", "rest"]);

/** Of a node and of a group: what a file of a rollout and a command line can say. */
export const fleetNameSchema = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$/,
    "expected lower-case letters, digits, - and dots, at most 64, first and last neither - nor a dot",
  )
  .refine(
    (name) => !RESERVED.has(name) && !/^\d+$/.test(name),
    "expected a name that is neither all, rest nor a number",
  );

/** As OpenSSH shows the fingerprint of a public key. */
const hostKeySchema = z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}$/, "expected SHA256: and 43 characters of base64");

export const nodeSchema = z.strictObject({
  name: fleetNameSchema,
  /** What ssh(1) takes: `root@node-1`, or a Host of ssh_config. */
  destination: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[^-\s][^\s]*$/, "expected a destination of ssh"),
  /** Fingerprint of its SSH host key, which says which machine it is. */
  key: hostKeySchema,
  groups: z.array(fleetNameSchema).max(64).default([]),
  /** Another configuration than ssh's own, absolute. */
  sshConfig: z.string().startsWith("/").optional(),
  /** hostd's socket and state directory on it. */
  socket: z.string().startsWith("/").default("/run/hostd/hostd.sock"),
  state: z.string().startsWith("/").default("/var/lib/hostd"),
});

export const inventorySchema = z.strictObject({
  schema: z.literal(1),
  nodes: z.array(nodeSchema).max(10_000),
});

export type Node = z.infer<typeof nodeSchema>;
export type Inventory = z.infer<typeof inventorySchema>;

/** An inventory from bytes; `what` names the file in errors. */
export function parseInventory(bytes: Uint8Array, what = "inventory"): Inventory {
  return parseDocument(bytes, inventorySchema, what, INVENTORY_LIMIT);
}

export const inventoryExample: Inventory = {
  schema: 1,
  nodes: [
    {
      name: "web-1",
      destination: "root@web-1.example.org",
      key: `SHA256:${"a".repeat(43)}`,
      groups: ["web"],
      socket: "/run/hostd/hostd.sock",
      state: "/var/lib/hostd",
    },
  ],
};
