import { chmod, chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { keyOf } from "../cache/cache.ts";
import { materialise } from "../copy/materialise.ts";
import { BuildError } from "../error.ts";
import type { Mount } from "../recipe/recipe.ts";
import type { SecretSource } from "../step/shop.ts";
import { toBinary } from "../tree/bytes.ts";
import type { ListedEntry } from "../tree/listing.ts";
import type { SandboxMount } from "./command.ts";

/** `--mount=` options made real for one run. */
export interface MadeMounts {
  mounts: SandboxMount[];
  env: Record<string, string>;
  /** Files to hold with flock while the step runs. */
  locks: string[];
}

export interface MountShop {
  /** Directory of cache mounts, kept between builds. */
  cacheMounts: string;
  /** A directory of one's own for copies. */
  work: string;
  secrets: Readonly<Record<string, SecretSource>>;
  /** Entries of a bind mount's source, its own path as the empty string. */
  bound(mount: Extract<Mount, { type: "bind" }>): Promise<ListedEntry[]>;
}

/** Makes the mounts of a RUN or TEST: cache directories, copies of what is bound, secrets in memory or variables. */
export async function makeMounts(mounts: readonly Mount[], shop: MountShop): Promise<MadeMounts> {
  const made: MadeMounts = { mounts: [], env: {}, locks: [] };
  for (const [index, mount] of mounts.entries()) {
    switch (mount.type) {
      case "tmpfs":
        made.mounts.push({ kind: "tmpfs", target: mount.target, size: mount.size });
        break;
      case "cache":
        await addCache(mount, shop, made);
        break;
      case "bind":
        await addBind(mount, join(shop.work, `bind-${index}`), shop, made);
        break;
      case "secret":
        await addSecret(mount, join(shop.work, `secret-${index}`), shop, made);
        break;
    }
  }
  return made;
}

/** A cache shared by `id`. `private` waits for the other writer, as `locked` does: nobody ever shares it. */
async function addCache(mount: Extract<Mount, { type: "cache" }>, shop: MountShop, made: MadeMounts): Promise<void> {
  const directory = join(shop.cacheMounts, keyOf(mount.id).slice(0, 32));
  const source = join(directory, "files");
  const isNew = (await mkdir(source, { recursive: true })) !== undefined;
  if (isNew) {
    await chown(source, mount.uid, mount.gid);
    await chmod(source, mount.mode);
  }
  made.mounts.push({ kind: "bind", source, target: mount.target, readonly: mount.readonly });
  if (mount.sharing !== "shared") made.locks.push(join(directory, "lock"));
}

/** A copy, so that the step sees exactly what its key says, and what it writes is thrown away. */
async function addBind(mount: Extract<Mount, { type: "bind" }>, source: string, shop: MountShop, made: MadeMounts) {
  const entries = await shop.bound(mount);
  const isFile = entries[0]?.type === "file";
  await mkdir(source);
  await materialise(isFile ? [{ ...(entries[0] as ListedEntry), path: "file" }] : entries, source);
  const bound = isFile ? join(source, "file") : source;
  made.mounts.push({ kind: "bind", source: bound, target: mount.target, readonly: mount.readonly });
}

async function addSecret(mount: Extract<Mount, { type: "secret" }>, path: string, shop: MountShop, made: MadeMounts) {
  const value = await readSecret(mount.id, shop.secrets[mount.id]);
  if (value === undefined) {
    if (!mount.required) return;
    throw new BuildError(
      "secret-missing",
      `expected the secret ${JSON.stringify(mount.id)}, which this step requires`,
      {
        hint: `--secret id=${mount.id},src=FILE or --secret id=${mount.id},env=NAME`,
      },
    );
  }
  if (mount.env !== undefined) made.env[mount.env] = value.toString();
  if (mount.target === undefined) return;
  await writeFile(path, value, { mode: 0o600 });
  await chown(path, mount.uid, mount.gid);
  await chmod(path, mount.mode);
  made.mounts.push({ kind: "bind", source: path, target: mount.target, readonly: true });
}

async function readSecret(id: string, source: SecretSource | undefined): Promise<Buffer | undefined> {
  if (source === undefined) return undefined;
  if ("env" in source) {
    const value = process.env[source.env];
    return value === undefined ? undefined : Buffer.from(value);
  }
  const bytes = await unlessMissing(readFile(source.file));
  if (bytes !== undefined) return bytes;
  throw new BuildError("secret-missing", `secret ${id}: expected a file at ${source.file}, got none`);
}

/** The entries of a directory or file of a tree or context, with its own path as the empty string. */
export function rebase(entries: readonly ListedEntry[]): ListedEntry[] {
  const root = entries[0]?.path ?? "";
  const cut = (path: string) => (path === root ? "" : path.slice(root === "" ? 0 : root.length + 1));
  return entries.map((entry) => ({
    ...entry,
    path: cut(entry.path),
    ...(entry.type === "hardlink" ? { link: cut(entry.link) } : {}),
  }));
}

/** A `source=` path as trees name it. */
export function boundPath(source: string): string {
  return toBinary(source.replace(/^\/+/, "").replace(/^\.$/, ""));
}
