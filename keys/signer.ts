import { randomBytes } from "node:crypto";
import nacl from "tweetnacl";
import { importPublicKey, type PublicKey } from "./ed25519.ts";

/** A private key in use: it never leaves this closure. */
export interface Signer {
  readonly key: PublicKey;
  /** The 64-byte Ed25519 signature of the message. */
  sign(message: Uint8Array): Buffer;
}

/** A new private key's seed, 32 random bytes. */
export function generateSeed(): Buffer {
  return randomBytes(nacl.sign.seedLength);
}

/** The signer of a 32-byte seed (RFC 8032 section 5.1.5). Operator's side only: nodes verify with keys/ed25519.ts. */
export function signerFromSeed(seed: Uint8Array): Signer {
  const { publicKey, secretKey } = nacl.sign.keyPair.fromSeed(Uint8Array.from(seed));
  return {
    key: importPublicKey(publicKey),
    sign: (message) => Buffer.from(nacl.sign.detached(Uint8Array.from(message), secretKey)),
  };
}
