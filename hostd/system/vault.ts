import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory, writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { type BoxKey, boxSchema, KEY_MATERIAL, openBoxKey } from "../../keys/box.ts";
import { parseDocument } from "../../manifests/document.ts";
import { NodeError } from "./failure.ts";
import { createQueue } from "./queue.ts";

/** Bytes of a sealed secret's file at most. */
const FILE_LIMIT = 256 * 1024;
const KEY = "key";

/** The secrets of a node, sealed, one file for each value that a name ever had and may be needed again. */
export interface Vault {
  /** Seals a value; once it is on the disk `record` notes the digest that tells it from others, and its answer is given. */
  put<T>(subject: string, value: string, record: (digest: string) => T): Promise<T>;
  get(subject: string, digest: string): Promise<string>;
  /** Deletes every value but these; what a crash left half made goes too. */
  keepOnly(wanted: () => readonly { subject: string; digest: string }[]): Promise<void>;
}

/**
 * Opens the vault below a state directory. The key is made from the file named, which is read now and refused
 * (`secret-key`) unless it has at least 32 bytes; else from one that hostd makes beside the secrets once there is one,
 * which then keeps them from nobody who has the whole directory.
 */
export async function openVault(directory: string, keyFile: string | undefined): Promise<Vault> {
  const inTurn = createQueue();
  let opened = keyFile === undefined ? undefined : Promise.resolve(await readKey(directory, keyFile));
  const key = () => (opened ??= readKey(directory, undefined));
  return {
    put: (subject, value, record) =>
      inTurn(async () => {
        const digest = (await key()).mark(subject, value);
        await mkdir(directory, { recursive: true, mode: 0o700 });
        const box = (await key()).seal(value);
        await writeDurably(join(directory, nameOf(subject, digest)), JSON.stringify(box), 0o600);
        return record(digest);
      }),
    async get(subject, digest) {
      const bytes = await unlessMissing(readFile(join(directory, nameOf(subject, digest))));
      if (bytes === undefined) {
        throw new NodeError("data-missing", `secret ${subject}: that value is no longer on this node`, {
          hint: `hostd secret set ${subject} sets it again`,
        });
      }
      const what = `secret ${subject}`;
      return (await key()).open(parseDocument(bytes, boxSchema, what, FILE_LIMIT), what);
    },
    keepOnly: (wanted) =>
      inTurn(async () => {
        const there = (await unlessMissing(readdir(directory))) ?? [];
        const kept = new Set([KEY, ...wanted().map(({ subject, digest }) => nameOf(subject, digest))]);
        const names = there.filter((name) => !kept.has(name));
        for (const name of names) await rm(join(directory, name), { force: true });
        if (names.length > 0) await syncDirectory(directory);
      }),
  };
}

async function readKey(directory: string, given: string | undefined): Promise<BoxKey> {
  const file = given ?? join(directory, KEY);
  const material = await unlessMissing(readFile(file));
  if (material === undefined && given === undefined) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeDurably(file, randomBytes(KEY_MATERIAL), 0o600);
    return await readKey(directory, given);
  }
  if (material !== undefined && material.length >= KEY_MATERIAL) return openBoxKey(material);
  const found = material === undefined ? "no file" : `${material.length} bytes`;
  throw new NodeError("secret-key", `${file}: expected a key of at least ${KEY_MATERIAL} bytes, found ${found}`, {
    hint: `secrets open with the one they were set with alone; where there are none, head -c ${KEY_MATERIAL} /dev/urandom makes one`,
  });
}

/** A name that says whose value it is and which; subjects hold one `/` at most. */
function nameOf(subject: string, digest: string): string {
  return `${subject.replace("/", "@")}.${digest.slice(0, 32)}`;
}
