import * as z from "zod";
import { checkDocument, DOCUMENT_LIMITS, DocumentError } from "../manifests/document.ts";
import { type PublicKey, SIGNATURE_BYTES, verifySignature } from "./ed25519.ts";
import { TrustError } from "./error.ts";
import type { Signer } from "./signer.ts";

/** Signatures looked at in one envelope: bounds the work that garbage can cause. */
const MOST_SIGNATURES = 8;
const BASE64_GROWTH = 4 / 3;

const envelopeSchema = z.object({
  payload: z.string().max(Math.ceil(DOCUMENT_LIMITS.statement * BASE64_GROWTH) + 4),
  payloadType: z.string().min(1).max(256),
  signatures: z
    .array(z.object({ keyid: z.string().max(256).nullish(), sig: z.string().max(256) }))
    .min(1)
    .max(MOST_SIGNATURES),
});

/** A DSSE envelope (secure-systems-lab/dsse, envelope.md). Its keyids are hints that nothing is decided on. */
export interface Envelope {
  payload: string;
  payloadType: string;
  signatures: { keyid?: string | null | undefined; sig: string }[];
}

/** What an envelope proved: these bytes, of this type, signed by these accepted keys, each counted once. */
export interface Verified {
  payload: Buffer;
  payloadType: string;
  signedBy: PublicKey[];
}

export interface Acceptance {
  keys: readonly PublicKey[];
  /** How many different accepted keys must have signed. */
  threshold: number;
  payloadTypes: readonly string[];
}

/** The bytes that are signed: DSSE protocol.md, "PAE". Lengths are decimal byte lengths. */
export function preAuthEncode(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType, "utf8");
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

export function signEnvelope(payloadType: string, payload: Uint8Array, signers: readonly Signer[]): Envelope {
  const message = preAuthEncode(payloadType, payload);
  return {
    payload: Buffer.from(payload).toString("base64"),
    payloadType,
    signatures: signers.map(({ key, sign }) => ({ keyid: key.keyid, sig: sign(message).toString("base64") })),
  };
}

/** The envelope in a JSON value from outside; refuses wrong shapes and what is over the limits. */
export function parseEnvelope(value: unknown): Envelope {
  try {
    return checkDocument(value, envelopeSchema, "DSSE envelope");
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    throw new TrustError("envelope", error.message, { cause: error });
  }
}

/** Verifies before anything parses the payload (DSSE protocol.md, steps 1-7). Throws TrustError `envelope` or `signature`. */
export function verifyEnvelope(value: unknown, accept: Acceptance): Verified {
  const envelope = parseEnvelope(value);
  if (!accept.payloadTypes.includes(envelope.payloadType)) {
    const expected = accept.payloadTypes.join(" or ");
    throw new TrustError("envelope", `DSSE payload type: expected ${expected}, got ${clip(envelope.payloadType)}`);
  }
  const payload = decodeBase64(envelope.payload, "payload");
  const signedBy = findSigners(envelope, payload, accept.keys);
  if (signedBy.length < Math.max(1, accept.threshold)) {
    const expected = `expected signatures by ${accept.threshold} of ${accept.keys.length} accepted keys`;
    throw new TrustError("signature", `DSSE envelope: ${expected}, got ${signedBy.length}`);
  }
  return { payload, payloadType: envelope.payloadType, signedBy };
}

/** The given keys that signed the envelope, each once, whatever the keyid hints say. */
function findSigners(envelope: Envelope, payload: Buffer, keys: readonly PublicKey[]): PublicKey[] {
  const message = preAuthEncode(envelope.payloadType, payload);
  const signatures = envelope.signatures.map(({ sig }) => decodeBase64(sig, "signature"));
  const candidates = signatures.filter(({ length }) => length === SIGNATURE_BYTES);
  const unique = [...new Map(keys.map((key) => [key.hex, key])).values()];
  return unique.filter((key) => candidates.some((signature) => verifySignature(key, message, signature)));
}

/** Standard or URL-safe base64, as verifiers must accept both (DSSE envelope.md). */
function decodeBase64(text: string, what: string): Buffer {
  if (!/^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}$/.test(text) || text.replace(/=+$/, "").length % 4 === 1) {
    throw new TrustError("envelope", `DSSE ${what}: expected base64, got ${clip(text)}`);
  }
  return Buffer.from(text, "base64");
}

function clip(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}
