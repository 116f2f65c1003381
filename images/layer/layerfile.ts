import { readSync, writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { GATHER_SIZE } from "../erofs/blocks.ts";
import { ErofsError } from "../erofs/error.ts";

/** A new file that is written while more is computed, and brought to the disk on the way. */
export interface LayerFile {
  /** Starts writing and answers another buffer to fill; where too much is under way it writes at once and answers none. */
  write(bytes: Buffer, position: number): Buffer | undefined;
  /** Writes at once. */
  writeNow(bytes: Buffer, position: number): void;
  read(target: Buffer, position: number): void;
  /** Waits until little is under way. Throws what an earlier write met. */
  drain(): Promise<void>;
  /** Waits until nothing is under way. Throws what an earlier write met. */
  settle(): Promise<void>;
}

/** Writes under way at most, each of GATHER_SIZE at most. */
const WRITES = 3;

/** Bytes after which what was written is sent to the disk, so that the barrier at the end has little left to wait for. */
const FLUSH_EVERY = 64 * 1024 * 1024;

export function openLayerFile(file: FileHandle): LayerFile {
  const spare: Buffer[] = [];
  const writing = new Set<Promise<void>>();
  let flushing: Promise<void> | undefined;
  let unflushed = 0;
  let failure: { error: unknown } | undefined;

  /** What fails is told by the next `drain` or `settle`. */
  function watch(work: Promise<unknown>): Promise<void> {
    return work.then(
      () => {},
      (error: unknown) => {
        failure ??= { error };
      },
    );
  }

  function start(bytes: Buffer, position: number): void {
    const work = watch(writeWhole(file, bytes, position)).then(() => {
      writing.delete(work);
      spare.push(Buffer.from(bytes.buffer, 0, GATHER_SIZE));
      flush(bytes.length);
    });
    writing.add(work);
  }

  function flush(bytes: number): void {
    unflushed += bytes;
    if (unflushed < FLUSH_EVERY || flushing !== undefined) return;
    unflushed = 0;
    flushing = watch(file.datasync()).then(() => {
      flushing = undefined;
    });
  }

  function tell(): void {
    if (failure !== undefined) throw failure.error;
  }

  return {
    write(bytes, position) {
      if (writing.size >= WRITES || bytes.buffer.byteLength !== GATHER_SIZE) {
        writeWholeNow(file, bytes, position);
        return undefined;
      }
      start(bytes, position);
      return spare.pop() ?? Buffer.allocUnsafeSlow(GATHER_SIZE);
    },
    writeNow: (bytes, position) => writeWholeNow(file, bytes, position),
    read: (target, position) => readWhole(file, target, position),
    async drain() {
      while (writing.size >= WRITES) await Promise.race(writing);
      tell();
    },
    async settle() {
      await Promise.all(writing);
      await flushing;
      tell();
    },
  };
}

async function writeWhole(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  }
}

function writeWholeNow(file: FileHandle, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file.fd, bytes, at, bytes.length - at, position + at);
}

function readWhole(file: FileHandle, target: Buffer, position: number): void {
  for (let at = 0; at < target.length; ) {
    const read = readSync(file.fd, target, at, target.length - at, position + at);
    if (read === 0) throw new ErofsError("layer-write", `expected ${target.length} bytes at ${position}, got ${at}`);
    at += read;
  }
}
