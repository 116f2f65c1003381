import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory, writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { type BoxKey, boxSchema, KEY_MATERIAL, openBoxKey } from "../../keys/box.ts";
import { parseDocument } from "../../manifests/document.ts";
import { HostdError } from "../error.ts";
import { NodeError } from "./failure.ts";
import { createQueue } from "./queue.ts";

/** Bytes of a sealed secret's file at most. */
const FILE_LIMIT = 256 * 1024;
const KEY = "key";

/** The secrets of a node, sealed, one file for each value that a name ever had and may be needed again. */
export interface Vault {
  /** Why no secret can be read or set: the key opens none of those that are here (`other-key`). */
  problem(): HostdError | undefined;
  /**
   * Seals a value; once it is on the disk `record` notes the digest that tells it from others, and its answer is given.
   * Refuses to mix the values of two keys (`other-key`).
   */
  put<T>(subject: string, value: string, record: (digest: string) => T): Promise<T>;
  get(subject: string, digest: string): Promise<string>;
  /** Deletes every value but these; what a crash left half made goes too. */
  keepOnly(wanted: () => readonly { subject: string; digest: string }[]): Promise<void>;
}

/**
 * Opens the vault below a state directory. The key is made from the file named, which is read now and refused
 * (`secret-key`) unless it has at least 32 bytes; else from one that hostd makes beside the secrets with the first of
 * them, which then keeps them from nobody who has the whole directory. A key that is not the one of what is here is a
 * problem and no refusal: most apps need no secret.
 */
export async function openVault(directory: string, keyFile: string | undefined): Promise<Vault> {
  const inTurn = createQueue();
  const file = keyFile ?? join(directory, KEY);
  const material = await unlessMissing(readFile(file));
  const isKey = material !== undefined && material.length >= KEY_MATERIAL;
  if (keyFile !== undefined && !isKey) throw noKey(file, material);
  let key = isKey ? openBoxKey(material) : undefined;
  let problem = await findProblem(directory, file, key);
  return {
    problem: () => problem,
    put: (subject, value, record) =>
      inTurn(async () => {
        problem = await findProblem(directory, file, key);
        if (problem !== undefined) throw problem;
        await mkdir(directory, { recursive: true, mode: 0o700 });
        key ??= await makeKey(file);
        const digest = key.mark(subject, value);
        await writeDurably(join(directory, nameOf(subject, digest)), JSON.stringify(key.seal(value)), 0o600);
        return record(digest);
      }),
    async get(subject, digest) {
      const name = nameOf(subject, digest);
      const bytes = await unlessMissing(readFile(join(directory, name)));
      if (bytes === undefined) {
        throw new NodeError("data-missing", `secret ${subject}: that value is no longer on this node`, {
          hint: `hostd secret set ${subject} sets it again`,
        });
      }
      if (problem !== undefined) throw problem;
      if (key !== undefined) return openBox(key, bytes, `secret ${subject}`);
      throw otherKey(directory, file, "none", [name]);
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

/** One value that opens tells that the key is the right one. */
async function findProblem(directory: string, file: string, key: BoxKey | undefined): Promise<HostdError | undefined> {
  const sealed = ((await unlessMissing(readdir(directory))) ?? []).filter((name) => SEALED.test(name));
  for (const name of sealed) {
    if (key !== undefined && (await opens(key, join(directory, name)))) return undefined;
  }
  return sealed.length === 0 ? undefined : otherKey(directory, file, key === undefined ? "none" : "another", sealed);
}

async function opens(key: BoxKey, path: string): Promise<boolean> {
  try {
    openBox(key, await readFile(path), path);
    return true;
  } catch {
    return false;
  }
}

async function makeKey(file: string): Promise<BoxKey> {
  const material = randomBytes(KEY_MATERIAL);
  await writeDurably(file, material, 0o600);
  return openBoxKey(material);
}

function openBox(key: BoxKey, bytes: Uint8Array, what: string): string {
  return key.open(parseDocument(bytes, boxSchema, what, FILE_LIMIT), what);
}

function noKey(file: string, material: Uint8Array | undefined): NodeError {
  const found = material === undefined ? "no file" : `${material.length} bytes`;
  return new NodeError("secret-key", `${file}: expected a key of at least ${KEY_MATERIAL} bytes, found ${found}`, {
    hint: `secrets open with the one they were set with alone; where there are none, head -c ${KEY_MATERIAL} /dev/urandom makes one`,
  });
}

function otherKey(directory: string, file: string, found: "another" | "none", sealed: readonly string[]): HostdError {
  const names = [...new Set(sealed.map(subjectOf))].sort().join(", ");
  return new HostdError(
    "other-key",
    `${file}: expected the key that the secrets ${names} were sealed with, found ${found}`,
    {
      hint: `start hostd with the --secrets-key that they were set with; where that is lost, stop hostd, delete ${directory}, start it again and set each of them again`,
    },
  );
}

/** A name that says whose value it is and which; subjects hold one `/` at most. */
function nameOf(subject: string, digest: string): string {
  return `${subject.replace("/", "@")}.${digest.slice(0, 32)}`;
}

const SEALED = /^(.+)\.[0-9a-f]{32}$/;

function subjectOf(name: string): string {
  return (SEALED.exec(name)?.[1] ?? name).replace("@", "/");
}
