import { createHash, createHmac, randomBytes } from "node:crypto";
import nacl from "tweetnacl";
import * as z from "zod";
import { TrustError } from "./error.ts";

const base64 = z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/, "expected base64");

/** A secret sealed with a key that is at hand: nacl.secretbox with a nonce of its own. */
export const boxSchema = z.strictObject({
  schema: z.literal(1),
  box: z.literal("nacl.secretbox"),
  nonce: base64,
  sealed: base64,
});

export type Box = z.infer<typeof boxSchema>;

/** Fewest bytes of what a key is made from: it is random, no passphrase. */
export const KEY_MATERIAL = 32;

/** Seals, opens and recognises secrets with one key. */
export interface BoxKey {
  seal(secret: string): Box;
  /** Throws TrustError `passphrase-wrong` where another key sealed it, or the file was changed. */
  open(box: Box, what: string): string;
  /** The same for the same words alone; tells nothing about them to whoever lacks the key. */
  mark(...words: string[]): string;
}

export function openBoxKey(material: Uint8Array): BoxKey {
  const derive = (purpose: string) => createHash("sha256").update(`ostler ${purpose}\0`).update(material).digest();
  const [boxKey, markKey] = [Uint8Array.from(derive("box")), derive("mark")];
  return {
    seal(secret) {
      const nonce = randomBytes(nacl.secretbox.nonceLength);
      const sealed = nacl.secretbox(Uint8Array.from(Buffer.from(secret)), Uint8Array.from(nonce), boxKey);
      const [text, box] = [Buffer.from(sealed).toString("base64"), "nacl.secretbox" as const];
      return { schema: 1, box, nonce: nonce.toString("base64"), sealed: text };
    },
    open({ nonce, sealed }, what) {
      const number = Uint8Array.from(Buffer.from(nonce, "base64"));
      const bytes = Uint8Array.from(Buffer.from(sealed, "base64"));
      const opened = number.length === nacl.secretbox.nonceLength ? nacl.secretbox.open(bytes, number, boxKey) : null;
      if (opened !== null) return Buffer.from(opened).toString();
      throw new TrustError("passphrase-wrong", `${what}: the node's key for secrets does not open it`, {
        hint: "start hostd with the --secrets-key that it was set with, or set the secret again",
      });
    },
    mark: (...words) => createHmac("sha256", markKey).update(words.join("\0")).digest("hex"),
  };
}
