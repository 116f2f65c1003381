import { randomBytes, type ScryptOptions, scrypt } from "node:crypto";
import { promisify } from "node:util";
import nacl from "tweetnacl";
import * as z from "zod";
import { TrustError } from "./error.ts";

/** Cost of turning a passphrase into a key: about half a second and 128 MiB. Recorded in each sealed file. */
const SCRYPT_COST = { N: 131_072, r: 8, p: 1 } as const;
const SCRYPT_MEMORY_LIMIT = 1024 * 1024 * 1024;
const SALT_BYTES = 32;

const base64 = z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/, "expected base64");

/** A sealed secret: nacl.secretbox under a scrypt key, with every parameter that opening it needs. */
export const sealedSchema = z.strictObject({
  kdf: z.literal("scrypt"),
  N: z.int().min(16_384).max(1_048_576),
  r: z.int().min(8).max(32),
  p: z.int().min(1).max(4),
  salt: base64,
  box: z.literal("nacl.secretbox"),
  nonce: base64,
  sealed: base64,
});

type Sealed = z.infer<typeof sealedSchema>;

/** Seals and opens secrets with one passphrase. */
export interface Sealer {
  seal(secret: Uint8Array): Promise<Sealed>;
  /** The secret; throws TrustError `passphrase-wrong` when the passphrase or the file is not the right one. */
  open(sealed: Sealed, what: string): Promise<Buffer>;
}

/** A sealer that derives each key once: what it seals shares one salt and has a nonce of its own. */
export function openSealer(passphrase: string): Sealer {
  if (passphrase === "") throw new TrustError("passphrase-missing", "passphrase: expected at least one character");
  const derived = new Map<string, Promise<Uint8Array>>();
  const salt = randomBytes(SALT_BYTES);

  async function deriveOnce(from: Uint8Array, cost: { N: number; r: number; p: number }): Promise<Uint8Array> {
    const id = `${Buffer.from(from).toString("hex")} ${cost.N} ${cost.r} ${cost.p}`;
    const key = derived.get(id) ?? derive(passphrase, from, cost);
    derived.set(id, key);
    return await key;
  }

  return {
    async seal(secret) {
      const nonce = randomBytes(nacl.secretbox.nonceLength);
      const box = nacl.secretbox(Uint8Array.from(secret), Uint8Array.from(nonce), await deriveOnce(salt, SCRYPT_COST));
      const text = { salt: salt.toString("base64"), nonce: nonce.toString("base64") };
      const sealed = Buffer.from(box).toString("base64");
      return { kdf: "scrypt", ...SCRYPT_COST, salt: text.salt, box: "nacl.secretbox", nonce: text.nonce, sealed };
    },
    async open(sealed, what) {
      const nonce = bytesOf(sealed.nonce);
      const key = await deriveOnce(bytesOf(sealed.salt), sealed);
      const secret =
        nonce.length === nacl.secretbox.nonceLength ? nacl.secretbox.open(bytesOf(sealed.sealed), nonce, key) : null;
      if (secret === null) {
        throw new TrustError("passphrase-wrong", `${what}: the passphrase does not open it`, {
          hint: "give the passphrase that `ostler keys init` was given, with --passphrase-file",
        });
      }
      return Buffer.from(secret);
    },
  };
}

async function derive(passphrase: string, salt: Uint8Array, { N, r, p }: ScryptOptions): Promise<Uint8Array> {
  const scryptKey = promisify<string, Uint8Array, number, ScryptOptions, Buffer>(scrypt);
  const options: ScryptOptions = { maxmem: SCRYPT_MEMORY_LIMIT, ...(N && { N }), ...(r && { r }), ...(p && { p }) };
  const key = await scryptKey(passphrase.normalize("NFC"), salt, nacl.secretbox.keyLength, options);
  return Uint8Array.from(key);
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "base64"));
}
