import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { isCanonical, isOnCurve, isSmallOrder } from "./curve.ts";
import { TrustError } from "./error.ts";

const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/** An Ed25519 public key that passed import. */
export interface PublicKey {
  /** SHA-256 of the raw key, hex: its name in policies, TUF metadata and messages. */
  readonly keyid: string;
  /** The raw 32 bytes, hex. */
  readonly hex: string;
  /** The same key as node:crypto takes it. */
  readonly object: KeyObject;
}

/**
 * The only way to a PublicKey: 32 raw bytes (or their hex) that are the canonical encoding of a curve point
 * outside the small subgroup. A small-order key would accept one signature for many messages.
 */
export function importPublicKey(key: Uint8Array | string): PublicKey {
  const bytes = typeof key === "string" ? fromHex(key) : Buffer.from(key);
  if (bytes.length !== PUBLIC_KEY_BYTES) {
    throw new TrustError("key-encoding", `public key: expected ${PUBLIC_KEY_BYTES} bytes, got ${bytes.length}`);
  }
  const hex = bytes.toString("hex");
  if (!isCanonical(bytes)) {
    throw new TrustError("key-encoding", `public key ${hex}: expected the canonical encoding of a point`);
  }
  if (!isOnCurve(bytes)) throw new TrustError("key-encoding", `public key ${hex}: expected a point of the curve`);
  if (isSmallOrder(bytes)) {
    throw new TrustError(
      "key-small-order",
      `public key ${hex}: expected a point of large order, got a small-order one`,
    );
  }
  const jwk = { kty: "OKP", crv: "Ed25519", x: bytes.toString("base64url") };
  return { keyid: keyidOf(bytes), hex, object: createPublicKey({ key: jwk, format: "jwk" }) };
}

function keyidOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The first 12 digits of a key's name: what people are shown. */
export function shortKeyid(keyid: string): string {
  return keyid.slice(0, 12);
}

/** RFC 8032 verification by node:crypto, which also refuses signatures whose scalar is not reduced. */
export function verifySignature(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  return signature.length === SIGNATURE_BYTES && verify(null, message, key.object, signature);
}

function fromHex(text: string): Buffer {
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new TrustError("key-encoding", `public key: expected 64 lower-case hex digits, got ${JSON.stringify(text)}`);
  }
  return Buffer.from(text, "hex");
}
