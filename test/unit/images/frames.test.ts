import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CompressionError } from "../../../images/compression-error.ts";
import { createFrameWalker } from "../../../images/frames.ts";

const checksummed = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
const frame = fc
  .tuple(fc.uint8Array({ maxLength: 3000 }), fc.boolean())
  .map(([bytes, checksum]) => zstdCompressSync(Buffer.from(bytes), checksum ? checksummed : {}));
const skippable = fc.uint8Array({ maxLength: 40 }).map((bytes) => {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x184d2a57, 0);
  header.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
});

function walk(stream: Buffer, pieceSize: number): Buffer[] {
  const walker = createFrameWalker();
  const pieces: Buffer[] = [];
  for (let start = 0; start < stream.length; start += pieceSize) {
    pieces.push(...walker.split(stream.subarray(start, start + pieceSize)));
  }
  walker.finish();
  return pieces;
}

describe("createFrameWalker", () => {
  test("leaves skippable frames out and keeps every other byte", () => {
    const parts = fc.array(
      fc.oneof(
        frame.map((bytes) => ({ bytes, kept: true })),
        skippable.map((bytes) => ({ bytes, kept: false })),
      ),
    );
    fc.assert(
      fc.property(parts, fc.integer({ min: 1, max: 500 }), (all, pieceSize) => {
        fc.pre(all.some((part) => part.kept));
        const stream = Buffer.concat(all.map((part) => part.bytes));
        const kept = Buffer.concat(all.filter((part) => part.kept).map((part) => part.bytes));
        expect(Buffer.concat(walk(stream, pieceSize))).toEqual(kept);
      }),
      { numRuns: 50 },
    );
  });

  test("cuts a piece at each end of a frame", () => {
    const frames = ["a", "bb", "c".repeat(5000)].map((text) => zstdCompressSync(text));
    expect(walk(Buffer.concat(frames), 100_000)).toEqual(frames);
    expect(walk(Buffer.concat(frames), 100_000).map((bytes) => zstdDecompressSync(bytes).length)).toEqual([1, 2, 5000]);
  });

  test("refuses every stream that is cut short", () => {
    const stream = zstdCompressSync("something long enough to be a frame", checksummed);
    for (let size = 0; size < stream.length; size++) {
      expect(() => walk(stream.subarray(0, size), 7)).toThrow(CompressionError);
    }
  });

  test("refuses bytes behind a frame that are none", () => {
    const stream = Buffer.concat([zstdCompressSync("x"), Buffer.from("junk")]);
    expect(() => walk(stream, 1000)).toThrow("expected the end or another zstd frame, got 0x6b6e756a");
  });

  test("throws nothing but CompressionError on random bytes behind a magic number", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (bytes, pieceSize) => {
        try {
          walk(Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), bytes]), pieceSize);
        } catch (error) {
          expect(error).toBeInstanceOf(CompressionError);
        }
      }),
    );
  });
});
