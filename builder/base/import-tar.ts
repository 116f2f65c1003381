import { createReadStream } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { hasErrno } from "../../effects/errno.ts";
import { READ_SIZE } from "../../effects/source.ts";
import { CompressionError } from "../../images/compression-error.ts";
import { LayerError } from "../../images/layer/error.ts";
import { unpackLayer } from "../../images/layer/unpack.ts";
import { TarError } from "../../images/tar/error.ts";
import type { Failure } from "../../manifests/failure.ts";
import { MEDIA_TYPES } from "../../manifests/image.ts";
import { EMPTY_CHAIN } from "../chain.ts";
import { BuildError } from "../error.ts";
import type { From } from "../recipe/recipe.ts";
import { hashFile } from "../source/hashes.ts";
import { scanTree } from "../tree/scan.ts";
import { type Base, type BaseShop, baseKey, packBase, recall, remember } from "./shop.ts";

/** `FROM tar:FILE`: a root file system as tar, plain or compressed with gzip or zstd. Its digest is the diff_id of its layer. */
export async function importTar(path: string, from: From, shop: BaseShop): Promise<Base> {
  const { mediaType, sha256 } = await inspect(path, from);
  const key = baseKey("tar", `${sha256} ${shop.epoch} ${shop.compression}`);
  const present = await recall(key, shop);
  if (present !== undefined) return present;
  return shop.cache.withWork(async (work) => {
    const tree = join(work, "tree");
    const root = join(tree, "root");
    await mkdir(tree);
    const bytes = createReadStream(path, { highWaterMark: READ_SIZE });
    await unpackLayer(bytes, mediaType, undefined, root, { missingParents: "create" }).catch((error) => {
      throw isDamage(error) ? damaged(path, from, error) : error;
    });
    const entries = await scanTree(root, shop.epoch);
    const layer = await packBase([entries], shop);
    const trees = [await shop.cache.keepTree(tree, entries, EMPTY_CHAIN.id)];
    const base: Base = { digest: layer.diffId, trees, layers: [layer], config: undefined };
    await remember(key, base, shop);
    return base;
  });
}

async function inspect(path: string, from: From): Promise<{ mediaType: string; sha256: string }> {
  try {
    const file = await open(path, "r");
    try {
      const start = Buffer.alloc(4);
      await file.read(start, 0, 4, 0);
      return { mediaType: mediaTypeOf(start), sha256: hashFile(path, (await file.stat()).size) };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!hasErrno(error, "ENOENT", "ENOTDIR", "EISDIR", "EACCES")) throw error;
    const message = `FROM ${from.reference}: expected a tar file at ${path}, got ${error.code}`;
    throw new BuildError("base-missing", message, { cause: error });
  }
}

function mediaTypeOf(start: Buffer): string {
  if (start.readUInt16BE(0) === 0x1f8b) return MEDIA_TYPES.layerGzip;
  return start.readUInt32LE(0) === 0xfd2fb528 ? MEDIA_TYPES.layerZstd : MEDIA_TYPES.layerTar;
}

function isDamage(error: unknown): error is Failure {
  return error instanceof TarError || error instanceof LayerError || error instanceof CompressionError;
}

function damaged(path: string, from: From, cause: Failure): BuildError {
  const message = `FROM ${from.reference}: ${path}: expected a root file system as tar: ${cause.message}`;
  return new BuildError("base-damaged", message, {
    hint: "make the archive again: `tar --numeric-owner -cf FILE -C ROOT .`",
    cause,
  });
}
