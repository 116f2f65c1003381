import * as z from "zod";
import { digestSchema } from "./digest.ts";
import { DOCUMENT_LIMITS, parseDocument } from "./document.ts";

/** Name of the policy among the top-level TUF targets, signed by the targets role. */
export const POLICY_PATH = "policy.json";

const publicKeySchema = z.strictObject({
  /** SHA-256 of the raw 32-byte key, hex. */
  keyid: z.string().regex(/^[0-9a-f]{64}$/),
  /** Raw Ed25519 public key, 64 hex digits. */
  public: z.string().regex(/^[0-9a-f]{64}$/),
});

const channelSchema = z.strictObject({
  /** Statements an image needs before it may be released into the channel. */
  requires: z.array(z.enum(["built", "tested", "clean"])),
  /** Suite names that must have passed; empty means whatever the image's recipe declares. */
  suites: z.array(z.string()).default([]),
  /** product -> lowest sequence still allowed. */
  floors: z.record(z.string(), z.int().nonnegative()).default({}),
});

/** Which keys build and test, what each channel requires, what is revoked (design section 5). */
const policySchema = z.strictObject({
  schema: z.literal(1),
  builders: z.array(publicKeySchema),
  testers: z.array(publicKeySchema),
  channels: z.record(z.string(), channelSchema),
  revoked: z.array(z.strictObject({ digest: digestSchema, reason: z.string() })).default([]),
});

export type Policy = z.infer<typeof policySchema>;
export type PublicKeyDocument = z.infer<typeof publicKeySchema>;

export function parsePolicy(bytes: Uint8Array): Policy {
  return parseDocument(bytes, policySchema, "policy", DOCUMENT_LIMITS.policy);
}

export const policyExample: Policy = {
  schema: 1,
  builders: [{ keyid: "1".repeat(64), public: "2".repeat(64) }],
  testers: [{ keyid: "3".repeat(64), public: "4".repeat(64) }],
  channels: {
    staging: { requires: ["built"], suites: [], floors: {} },
    production: { requires: ["built", "tested", "clean"], suites: [], floors: { shop: 3 } },
  },
  revoked: [{ digest: `sha256:${"5".repeat(64)}`, reason: "leaks orders" }],
};
