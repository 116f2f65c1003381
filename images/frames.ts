import { CompressionError } from "./compression-error.ts";

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;

type Part = "magic" | "skippable-size" | "descriptor" | "header" | "block-header" | "block" | "checksum" | "skippable";

/** Parts whose bytes decide what follows, and how many they are; the other parts are passed over. */
const READ_PARTS: Partial<Record<Part, number>> = { magic: 4, "skippable-size": 4, descriptor: 1, "block-header": 3 };

/**
 * Walks the frames of a zstd stream (RFC 8878 section 3.1) as it comes in pieces. `split` cuts a piece at frame ends
 * and leaves skippable frames out, since node:zlib stops without an error after the first frame of a write. `finish`
 * refuses a stream that ends inside a frame or holds none.
 */
export function createFrameWalker() {
  let part: Part = "magic";
  let left = 4;
  let lastBlock = false;
  let checksum = false;
  let frames = 0;
  const scratch = Buffer.alloc(4);

  function expect(next: Part, bytes = READ_PARTS[next] ?? 0): void {
    part = next;
    left = bytes;
  }

  /** What follows when a part is complete; true when that was the end of a frame with content. */
  function complete(): boolean {
    switch (part) {
      case "magic":
        startFrame(scratch.readUInt32LE(0));
        return false;
      case "skippable-size":
        expect("skippable", scratch.readUInt32LE(0));
        return left === 0 ? complete() : false;
      case "skippable":
        expect("magic");
        return false;
      case "descriptor":
        startHeader(scratch.readUInt8(0));
        return false;
      case "header":
        expect("block-header");
        return false;
      case "block-header":
        startBlock(scratch.readUIntLE(0, 3));
        return left === 0 ? complete() : false;
      case "block":
        if (!lastBlock) expect("block-header");
        else if (checksum) expect("checksum", 4);
        else return endFrame();
        return false;
      case "checksum":
        return endFrame();
    }
  }

  function startFrame(magic: number): void {
    if (magic === MAGIC) expect("descriptor");
    else if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) expect("skippable-size");
    else throw damaged(frames === 0 ? "expected a zstd frame" : "expected the end or another zstd frame", magic);
  }

  function startHeader(descriptor: number): void {
    if ((descriptor & 0x08) !== 0) throw damaged("expected a reserved bit of 0 in a frame header", descriptor);
    const singleSegment = (descriptor & 0x20) !== 0;
    checksum = (descriptor & 0x04) !== 0;
    const dictionary = DICTIONARY_ID_BYTES[(descriptor & 0x03) as 0 | 1 | 2 | 3];
    const size = CONTENT_SIZE_BYTES[(descriptor >> 6) as 0 | 1 | 2 | 3];
    const rest = (singleSegment ? 0 : 1) + dictionary + (singleSegment && size === 0 ? 1 : size);
    expect("header", rest);
  }

  function startBlock(header: number): void {
    const type = (header >> 1) & 3;
    if (type === BLOCK_RESERVED) throw damaged("expected a known block type", type);
    lastBlock = (header & 1) === 1;
    expect("block", type === BLOCK_RLE ? 1 : header >> 3);
  }

  function endFrame(): boolean {
    frames++;
    expect("magic");
    return true;
  }

  function take(chunk: Buffer, position: number): number {
    const bytes = Math.min(left, chunk.length - position);
    const whole = READ_PARTS[part];
    if (whole !== undefined) chunk.copy(scratch, whole - left, position, position + bytes);
    left -= bytes;
    return bytes;
  }

  return {
    /** The pieces of frames with content, in order; none of them reaches beyond the end of its frame. */
    split(chunk: Buffer): Buffer[] {
      const pieces: Buffer[] = [];
      let start = inContent(part) ? 0 : -1;
      let position = 0;
      while (position < chunk.length) {
        position += take(chunk, position);
        if (left > 0) break;
        const was = part;
        const ended = complete();
        if (was === "magic" && part === "descriptor") {
          // The magic may have begun in the chunk before, where it was not yet known to be one.
          if (position < 4) pieces.push(Buffer.from(scratch));
          start = position < 4 ? position : position - 4;
        }
        if (!ended) continue;
        pieces.push(chunk.subarray(start, position));
        start = -1;
      }
      if (start >= 0 && start < chunk.length) pieces.push(chunk.subarray(start));
      return pieces;
    },

    finish(): void {
      if (part !== "magic" || left !== 4) {
        throw new CompressionError("compression-damaged", "expected a whole zstd frame, got an end inside of one");
      }
      if (frames === 0) throw new CompressionError("compression-damaged", "expected a zstd frame, got none");
    },
  };
}

function inContent(part: Part): boolean {
  return part !== "magic" && part !== "skippable-size" && part !== "skippable";
}

function damaged(expected: string, got: number): CompressionError {
  return new CompressionError("compression-damaged", `${expected}, got 0x${got.toString(16)}`);
}
