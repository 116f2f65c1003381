import { randomBytes } from "node:crypto";
import { gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { CompressionError } from "../../../images/compression-error.ts";
import { type Compression, compress, compressionOf, decompress, mediaTypeOf } from "../../../images/zstd.ts";

async function* pieces(bytes: Buffer, size: number): AsyncIterable<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

const packed = (bytes: Buffer, compression: Compression, size = 65_536) =>
  collect(compress(pieces(bytes, size), compression));
const unpacked = (bytes: Buffer, compression: Compression | undefined, size = 65_536) =>
  collect(decompress(pieces(bytes, size), compression));

const sample = Buffer.concat([randomBytes(1_300_000), Buffer.alloc(2_000_000, "abc")]);

describe.each<Compression>(["zstd", "gzip"])("compress %s", (compression) => {
  test("gives one output for one input, however it is cut", async () => {
    const whole = await packed(sample, compression, sample.length);
    for (const size of [1000, 70_001, 1 << 20]) expect(await packed(sample, compression, size)).toEqual(whole);
  });

  test("is undone by decompress, also for no bytes and for single ones", async () => {
    for (const bytes of [sample, Buffer.alloc(0), Buffer.from("x")]) {
      expect((await unpacked(await packed(bytes, compression), compression)).equals(bytes)).toBe(true);
    }
  });

  test("passes on an error of its source and lets the source close", async () => {
    let closed = false;
    const failing = async function* () {
      try {
        yield sample;
        throw new Error("source failed");
      } finally {
        closed = true;
      }
    };
    await expect(collect(compress(failing(), compression))).rejects.toThrow("source failed");
    expect(closed).toBe(true);
  });

  test("lets its source close when nobody reads on", async () => {
    let closed = false;
    const endless = async function* () {
      try {
        for (;;) yield randomBytes(1 << 20);
      } finally {
        closed = true;
      }
    };
    for await (const chunk of compress(endless(), compression)) if (chunk.length > 0) break;
    expect(closed).toBe(true);
  });
});

describe("compress zstd", () => {
  test("adds no empty frame behind the only one", async () => {
    const bytes = await packed(sample, "zstd", 100);
    expect(bytes.lastIndexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))).toBe(0);
    expect(zstdDecompressSync(bytes).equals(sample)).toBe(true);
  });

  test("writes no time and no name into a gzip header", async () => {
    expect((await packed(sample, "gzip")).subarray(3, 8)).toEqual(Buffer.alloc(5));
  });
});

describe("decompress", () => {
  test.each([1, 7, 1 << 20])("reads all frames of a stream in pieces of %i bytes", async (size) => {
    const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const stream = Buffer.concat([skippable, zstdCompressSync("aaaa"), skippable, zstdCompressSync("bbbb"), skippable]);
    expect((await unpacked(stream, "zstd", size)).toString()).toBe("aaaabbbb");
  });

  test.each([1, 1 << 20])("reads all members of a gzip stream in pieces of %i bytes", async (size) => {
    expect((await unpacked(Buffer.concat([gzipSync("aaaa"), gzipSync("bbbb")]), "gzip", size)).toString()).toBe(
      "aaaabbbb",
    );
  });

  test("passes plain bytes", async () => {
    expect((await unpacked(sample, undefined)).equals(sample)).toBe(true);
  });

  test.each<[string, Compression, Buffer]>([
    ["no bytes as zstd", "zstd", Buffer.alloc(0)],
    ["no bytes as gzip", "gzip", Buffer.alloc(0)],
    ["gzip as zstd", "zstd", gzipSync("x")],
    ["zstd as gzip", "gzip", zstdCompressSync("x")],
    ["zstd cut short", "zstd", zstdCompressSync(sample).subarray(0, -1)],
    ["gzip cut short", "gzip", gzipSync(sample).subarray(0, -1)],
    ["junk behind zstd", "zstd", Buffer.concat([zstdCompressSync("x"), Buffer.from("junk")])],
    ["junk behind gzip", "gzip", Buffer.concat([gzipSync("x"), Buffer.from("junk")])],
    ["a damaged zstd block", "zstd", damaged(zstdCompressSync("abcabc".repeat(1000)))],
    ["a damaged gzip block", "gzip", damaged(gzipSync("abcabc".repeat(1000)))],
  ])("refuses %s", async (_, compression, bytes) => {
    await expect(unpacked(bytes, compression)).rejects.toThrow(CompressionError);
  });

  test("refuses a small stream that unpacks to gigabytes, in bounded memory", async () => {
    const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]);
    const block = Buffer.from([0x02, 0x00, 0x10, 0x41]);
    const last = Buffer.from([0x03, 0x00, 0x10, 0x41]);
    const bomb = Buffer.concat([header, ...Array.from({ length: 40_000 }, () => block), last]);
    const limit = { free: 100_000_000, ratio: 1000 };
    let size = 0;
    const read = async () => {
      for await (const chunk of decompress(pieces(bomb, 1 << 20), "zstd", limit)) size += chunk.length;
    };
    await expect(read()).rejects.toMatchObject({ code: "compression-limit" });
    expect(size).toBeLessThanOrEqual(bomb.length * 1000);
  });
});

test("compressionOf is the inverse of mediaTypeOf and refuses what is no layer", () => {
  expect(compressionOf(mediaTypeOf("zstd"))).toBe("zstd");
  expect(compressionOf(mediaTypeOf("gzip"))).toBe("gzip");
  expect(compressionOf("application/vnd.oci.image.layer.v1.tar")).toBeUndefined();
  expect(() => compressionOf("text/plain")).toThrow("expected an OCI layer media type, got text/plain");
});

function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.fill(0xff, copy.length - 12, copy.length - 4);
  return copy;
}
