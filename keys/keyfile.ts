import { readFile, stat } from "node:fs/promises";
import * as z from "zod";
import { writeDurably } from "../effects/durable.ts";
import { unlessMissing } from "../effects/errno.ts";
import { DocumentError, parseDocument } from "../manifests/document.ts";
import { importPublicKey, type PublicKey } from "./ed25519.ts";
import { TrustError } from "./error.ts";
import { type Sealer, sealedSchema } from "./seal.ts";
import { generateSeed, type Signer, signerFromSeed } from "./signer.ts";

const KEY_FILE_LIMIT = 16 * 1024;
const KEY_FILE_MODE = 0o600;

/** Roles are TUF role names, `builder`, `tester` and names of channels. */
const roleSchema = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "expected a role's name");

/** A key file: one key, one role. Its secret is plain, or sealed with a passphrase. */
const keyFileSchema = z.strictObject({
  schema: z.literal(1),
  role: roleSchema,
  keyid: z.string(),
  public: z.string(),
  created: z.iso.datetime(),
  secret: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("plain"), seed: z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hex digits") }),
    sealedSchema.extend({ kind: z.literal("sealed") }),
  ]),
});

type KeyFileDocument = z.infer<typeof keyFileSchema>;

/** A key file that was read: what is public of it, and a way to use its private key. */
export interface KeyFile {
  readonly path: string;
  readonly role: string;
  readonly key: PublicKey;
  readonly created: string;
  readonly sealed: boolean;
  /** The signer; needs a sealer when the file is sealed. Throws TrustError `passphrase-missing` or `passphrase-wrong`. */
  open(sealer: Sealer | undefined): Promise<Signer>;
}

/** Makes a new key and writes its file durably with mode 0600. Refuses to overwrite a file. */
export async function createKeyFile(path: string, role: string, now: Date, sealer?: Sealer): Promise<PublicKey> {
  if ((await unlessMissing(readFile(path))) !== undefined) {
    throw new TrustError("keys-exist", `${path}: expected no file, got a key file, which is never overwritten`);
  }
  const seed = generateSeed();
  const { key } = signerFromSeed(seed);
  const document: KeyFileDocument = {
    schema: 1,
    role: roleSchema.parse(role),
    keyid: key.keyid,
    public: key.hex,
    created: now.toISOString(),
    secret:
      sealer === undefined
        ? { kind: "plain", seed: seed.toString("hex") }
        : { kind: "sealed", ...(await sealer.seal(seed)) },
  };
  await writeDurably(path, `${JSON.stringify(document, null, 2)}\n`, KEY_FILE_MODE);
  return key;
}

/** Reads and checks a key file, its secret still closed. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  const document = parseKeyFile(await readSecretFile(path), path);
  const key = importPublicKey(document.public);
  if (key.keyid !== document.keyid) {
    throw new TrustError("key-file", `${path}: expected keyid ${key.keyid}, got ${document.keyid}`);
  }
  return {
    path,
    role: document.role,
    key,
    created: document.created,
    sealed: document.secret.kind === "sealed",
    async open(sealer) {
      const signer = signerFromSeed(await openSecret(document, path, sealer));
      if (signer.key.hex === key.hex) return signer;
      throw new TrustError("key-file", `${path}: expected the private key of ${key.keyid}, got that of another key`);
    },
  };
}

async function readSecretFile(path: string): Promise<Buffer> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return await readFile(path);
  throw new TrustError("key-file", `${path}: expected mode 0600, got ${(mode & 0o7777).toString(8).padStart(4, "0")}`, {
    hint: `chmod 600 ${path}, and think about who could read it until now`,
  });
}

async function openSecret({ secret }: KeyFileDocument, path: string, sealer: Sealer | undefined): Promise<Buffer> {
  if (secret.kind === "plain") return Buffer.from(secret.seed, "hex");
  if (sealer !== undefined) return sealer.open(secret, path);
  throw new TrustError("passphrase-missing", `${path}: the key is sealed, expected a passphrase`, {
    hint: "give the passphrase with --passphrase-file FILE",
  });
}

function parseKeyFile(bytes: Uint8Array, path: string): KeyFileDocument {
  try {
    return parseDocument(bytes, keyFileSchema, path, KEY_FILE_LIMIT);
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    throw new TrustError("key-file", error.message, { cause: error });
  }
}
