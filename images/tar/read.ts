import type { TarVisitor } from "../entry.ts";
import { TarError } from "./error.ts";
import { BLOCK_SIZE, paddingOf, TAR_LIMITS } from "./format.ts";
import { createHeaderReader } from "./header.ts";

export type { TarVisitor };

export interface TarReader {
  /** Takes the next bytes; calls the visitor for all that they complete. Keeps nothing of the chunk itself. */
  push(chunk: Buffer): void;
  /** Says that no more bytes come; refuses an archive that is cut short. */
  finish(): void;
}

type State = "header" | "data" | "extended" | "padding" | "end";

/**
 * Reads a tar archive (ustar, POSIX pax, GNU long names) as it comes, in memory bounded by one header. Throws
 * TarError, and nothing else, for whatever it would have to guess at.
 */
export function createTarReader(visitor: TarVisitor, entryLimit: number = TAR_LIMITS.entries): TarReader {
  const headers = createHeaderReader();
  const scratch = Buffer.alloc(BLOCK_SIZE);
  let state: State = "header";
  let left = BLOCK_SIZE;
  let pad = 0;
  let zeroBlocks = 0;
  let entries = 0;
  let offset = 0;
  let extended: Buffer[] = [];

  function readHeader(block: Buffer): void {
    left = BLOCK_SIZE;
    if (block[0] === 0 && block.equals(ZERO_BLOCK)) {
      endOfArchive();
      return;
    }
    if (zeroBlocks > 0) throw new TarError("tar-damaged", `tar at byte ${offset}: expected a second zero block`);
    const found = headers.read(block, offset);
    if (found.kind === "extended") {
      begin("extended", found.size);
      return;
    }
    if (++entries > entryLimit) {
      throw new TarError("tar-limit", `tar: expected at most ${entryLimit} entries, got more`);
    }
    visitor.entry(found.entry);
    begin("data", found.entry.size);
  }

  function endOfArchive(): void {
    headers.expectNothingPending(offset);
    if (++zeroBlocks === 2) state = "end";
  }

  function begin(next: "data" | "extended", size: number): void {
    state = next;
    left = size;
    pad = paddingOf(size);
    if (size === 0) endContent();
  }

  function endContent(): void {
    if (state === "extended") headers.extend(Buffer.concat(extended));
    extended = [];
    state = pad > 0 ? "padding" : "header";
    left = pad > 0 ? pad : BLOCK_SIZE;
  }

  /** Handles the bytes from `position` on that the present state takes; says how many those are. */
  function step(chunk: Buffer, position: number): number {
    const size = Math.min(left, chunk.length - position);
    const bytes = chunk.subarray(position, position + size);
    if (state === "header") return stepHeader(bytes);
    if (state === "end") return stepEnd(chunk, position);
    if (state === "data") visitor.data(bytes);
    if (state === "extended") extended.push(size === left ? bytes : Buffer.from(bytes));
    left -= size;
    if (left > 0) return size;
    if (state !== "padding") endContent();
    else [state, left] = ["header", BLOCK_SIZE];
    return size;
  }

  function stepHeader(bytes: Buffer): number {
    if (bytes.length === BLOCK_SIZE) {
      readHeader(bytes);
      return BLOCK_SIZE;
    }
    bytes.copy(scratch, BLOCK_SIZE - left);
    left -= bytes.length;
    if (left === 0) readHeader(scratch);
    return bytes.length;
  }

  function stepEnd(chunk: Buffer, position: number): number {
    for (let index = position; index < chunk.length; index++) {
      if (chunk[index] !== 0) throw new TarError("tar-damaged", "tar: expected only zeros behind the end, got more");
    }
    return chunk.length - position;
  }

  return {
    push(chunk) {
      const start = offset;
      let position = 0;
      while (position < chunk.length) {
        position += step(chunk, position);
        offset = start + position;
      }
    },
    finish() {
      if (state === "end" || (state === "header" && left === BLOCK_SIZE && zeroBlocks > 0)) return;
      throw new TarError("tar-truncated", `tar: expected zero blocks at its end, got an end at byte ${offset}`);
    },
  };
}

const ZERO_BLOCK = Buffer.alloc(BLOCK_SIZE);
