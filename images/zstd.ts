import type { Transform } from "node:stream";
import { constants, createGunzip, createGzip, createZstdCompress, createZstdDecompress } from "node:zlib";
import { READ_SIZE } from "../effects/source.ts";
import { MEDIA_TYPES } from "../manifests/image.ts";
import { CompressionError } from "./compression-error.ts";
import { createFrameWalker } from "./frames.ts";

// The only user of node:zlib. Its zstd streams have three faults that this file avoids: several workers lose data, an
// end with a write under way appends an empty frame, and several frames in one write are cut after the first.

export type Compression = "zstd" | "gzip";

/** Bytes of compressed output made at once. */
const OUTPUT_SIZE = READ_SIZE;

/**
 * Bytes unpacked at once. Unpacking a piece and using the one before it end together, so the slower of the two counts for
 * each piece: with a quarter of this laying a layer down takes a tenth longer, with Node's 16 KiB three times as long.
 */
const UNPACKED_SIZE = 1024 * 1024;

/** Pinned, since they decide a layer's digest. */
const ZSTD_LEVEL = 3;
const GZIP_LEVEL = 6;

/** How much compressed bytes may unpack to: everything up to `free` bytes, then at most `ratio` times their size. */
export interface Expansion {
  free: number;
  ratio: number;
}

const EXPANSION: Expansion = { free: 4 * 1024 ** 3, ratio: 1000 };

/** The compression of a layer of this media type; undefined for a plain tar. Refuses any other type. */
export function compressionOf(mediaType: string): Compression | undefined {
  if (mediaType === MEDIA_TYPES.layerZstd) return "zstd";
  if (mediaType === MEDIA_TYPES.layerGzip) return "gzip";
  if (mediaType === MEDIA_TYPES.layerTar) return undefined;
  throw new CompressionError("compression-unknown", `expected an OCI layer media type, got ${mediaType}`);
}

/** The media type of a layer compressed so. */
export function mediaTypeOf(compression: Compression): string {
  return compression === "zstd" ? MEDIA_TYPES.layerZstd : MEDIA_TYPES.layerGzip;
}

/** Compresses a stream; the output depends on its bytes alone, not on how they are cut, on time or on the machine. */
export function compress(source: AsyncIterable<Uint8Array>, compression: Compression): AsyncIterable<Buffer> {
  return through(compressorOf(compression), cut(source));
}

/** Unpacks a stream of one or more frames and checks that all of it was used. Plain bytes pass where `undefined`. */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  compression: Compression | undefined,
  limit: Expansion = EXPANSION,
): AsyncIterable<Buffer> {
  if (compression === undefined) return yield* asBuffers(source);
  const count = { input: 0 };
  const input = counted(source, count);
  const pieces = compression === "zstd" ? frames(input) : input;
  const engine = compression === "zstd" ? createZstdDecompress({ chunkSize: UNPACKED_SIZE }) : createGunzip(GUNZIP);
  let output = 0;
  for await (const chunk of through(engine, pieces)) {
    output += chunk.length;
    if (output > limit.free && output > count.input * limit.ratio) {
      throw new CompressionError(
        "compression-limit",
        `expected at most ${limit.ratio} bytes per compressed byte, got ${output} from ${count.input}`,
      );
    }
    yield chunk;
  }
}

const GUNZIP = { chunkSize: UNPACKED_SIZE };

function compressorOf(compression: Compression): Transform {
  if (compression === "gzip") return createGzip({ level: GZIP_LEVEL, chunkSize: OUTPUT_SIZE });
  const params = { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL, [constants.ZSTD_c_checksumFlag]: 0 };
  return createZstdCompress({ params, chunkSize: OUTPUT_SIZE });
}

/** Runs pieces through an engine: the next piece is made while the last one is worked on, and none is lost. */
async function* through(engine: Transform, pieces: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  const iterator = pieces[Symbol.asyncIterator]();
  const fed = { whole: false };
  feed(engine, iterator, fed).catch((error) => engine.destroy(error));
  try {
    yield* engine as AsyncIterable<Buffer>;
    // An engine that ends by itself has met bytes behind the end that it did not take.
    if (!fed.whole) throw new CompressionError("compression-damaged", "expected the end of the data, got more bytes");
  } catch (error) {
    throw describe(error);
  } finally {
    engine.destroy();
    await iterator.return?.();
  }
}

async function feed(engine: Transform, iterator: AsyncIterator<Uint8Array>, fed: { whole: boolean }): Promise<void> {
  let written: Promise<unknown> = Promise.resolve();
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    await written;
    written = Promise.allSettled([writeTo(engine, next.value)]);
  }
  await written;
  fed.whole = true;
  engine.end();
}

/** Done when the engine has taken the piece; an engine's error reaches whoever reads its output. */
function writeTo(engine: Transform, piece: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    engine.write(piece, (error) => (error ? reject(error) : resolve()));
  });
}

function describe(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!/^(Z_|ZSTD_|ERR_ZSTD_)/.test(code)) return error;
  return new CompressionError("compression-damaged", `compressed data: ${(error as Error).message} (${code})`, error);
}

/** Cuts a stream anew into pieces of READ_SIZE, so that one stream of bytes has one compressed form. */
async function* cut(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let kept: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    let rest = chunk;
    while (size + rest.length >= READ_SIZE) {
      const piece = rest.subarray(0, READ_SIZE - size);
      yield size === 0 ? piece : Buffer.concat([...kept, piece]);
      rest = rest.subarray(piece.length);
      kept = [];
      size = 0;
    }
    if (rest.length === 0) continue;
    kept.push(rest);
    size += rest.length;
  }
  if (size > 0) yield Buffer.concat(kept);
}

async function* frames(source: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const walker = createFrameWalker();
  for await (const chunk of source) yield* walker.split(chunk);
  walker.finish();
}

async function* counted(source: AsyncIterable<Uint8Array>, count: { input: number }): AsyncIterable<Buffer> {
  for await (const chunk of asBuffers(source)) {
    count.input += chunk.length;
    yield chunk;
  }
}

async function* asBuffers(source: AsyncIterable<Uint8Array>): AsyncIterable<Buffer> {
  for await (const chunk of source) {
    yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
}
