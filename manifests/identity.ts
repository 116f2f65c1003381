import * as z from "zod";
import { parseDocument } from "./document.ts";
import { lengthOf, parseWindow } from "./window.ts";

/** The most bytes of an identity document: a root.json is the largest part of it. */
const IDENTITY_LIMIT = 256 * 1024;

/** Milliseconds: hostd looks at its channel that often, and refuses a window in which there might be no look. */
const HOUR = 3_600_000;

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const hostName = z
  .string()
  .max(64)
  .regex(
    new RegExp(`^${LABEL}(?:\\.${LABEL})*$`),
    "expected a host name: lower-case letters, digits, - and dots, at most 64",
  );

/** One line of authorized_keys (sshd(8)): options may stand before the key's type. */
const authorizedKey = z
  .string()
  .max(16_384)
  .regex(
    /^(?:[\x20-\x7e]+ )?(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]{16,}={0,3}(?: [\x20-\x7e]*)?$/,
    "expected one line of authorized_keys: TYPE KEY [COMMENT]",
  );

/** Names of the interfaces that the network document is for, as systemd.network(5) matches them: `en*`, `eth0`. */
const interfaces = z.string().regex(/^[A-Za-z0-9*?._-]{1,64}$/, "expected an interface's name or pattern: eth0, en*");

const networkSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("dhcp"), interface: interfaces.default("e*") }),
  z.strictObject({
    kind: z.literal("static"),
    interface: interfaces,
    addresses: z
      .array(z.union([z.cidrv4(), z.cidrv6()]))
      .min(1)
      .max(16),
    gateways: z
      .array(z.union([z.ipv4(), z.ipv6()]))
      .max(4)
      .default([]),
    dns: z
      .array(z.union([z.ipv4(), z.ipv6()]))
      .max(8)
      .default([]),
  }),
]);

/** What makes a node this node (design section 7): given once, applied at its first boot, kept across all updates. */
export const identitySchema = z.strictObject({
  schema: z.literal(1),
  hostName,
  /** User -> lines of authorized_keys. */
  authorizedKeys: z
    .record(z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/, "expected a user's name"), z.array(authorizedKey).max(256))
    .default({}),
  /** Without one every wired interface asks for an address by DHCP. */
  network: networkSchema.default({ kind: "dhcp", interface: "e*" }),
  /** As in the time zone database. */
  timeZone: z
    .string()
    .regex(/^[A-Za-z0-9+_-]{1,32}(?:\/[A-Za-z0-9+_-]{1,32}){0,2}$/, "expected a time zone such as Europe/Berlin")
    .default("UTC"),
  repository: z
    .strictObject({
      /** Directory on the node, or http(s) address. */
      address: z
        .string()
        .regex(
          /^(?:https?:\/\/|\/)[A-Za-z0-9._~:/?#@!&*+,;=%[\]-]{1,2000}$/,
          "expected http(s)://... or an absolute path",
        ),
      channel: z
        .string()
        .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "expected a channel's name")
        .default("production"),
      /** What the node does by itself about what the channel releases, as `hostd serve --follow --between` take it. */
      follow: z.enum(["stage", "activate"]).optional(),
      between: z
        .string()
        .refine(
          (text) => lengthOf(parseWindow(text)) >= HOUR,
          "expected two times of day, an hour or more apart: 02:00-05:00",
        )
        .optional(),
    })
    .refine(({ follow, between }) => between === undefined || follow === "activate", {
      path: ["between"],
      message: 'expected "follow": "activate" beside it',
    })
    .optional(),
  /** The root.json that the node trusts from then on. */
  root: z.record(z.string(), z.unknown()).optional(),
});

export type Identity = z.infer<typeof identitySchema>;
export type Network = z.infer<typeof networkSchema>;

/** An identity document from bytes; `what` names the file in errors. */
export function parseIdentity(bytes: Uint8Array, what = "identity"): Identity {
  return parseDocument(bytes, identitySchema, what, IDENTITY_LIMIT);
}

export const identityExample: Identity = {
  schema: 1,
  hostName: "node-1.example.org",
  authorizedKeys: {
    root: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUP2vJ0nJ6TKbDgVvTJzXwFhQqCq9k5cYg3q0m3uT9a operator@example.org"],
  },
  network: {
    kind: "static",
    interface: "en*",
    addresses: ["192.0.2.10/24", "2001:db8::10/64"],
    gateways: ["192.0.2.1"],
    dns: ["192.0.2.53"],
  },
  timeZone: "Europe/Berlin",
  repository: { address: "https://updates.example.org/repository", channel: "production" },
};
