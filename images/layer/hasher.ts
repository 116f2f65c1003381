import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { GATHER_SIZE, type Hasher } from "../erofs/blocks.ts";
import { ErofsError } from "../erofs/error.ts";
import { HASH_SIZE, hashBlock } from "../erofs/hashtree.ts";
import { BLOCK_SIZE } from "../erofs/limits.ts";

// Hashing each block takes a quarter of the time of laying a layer down, and nothing needs its outcome until the end: another
// thread does it, from copies in a ring that both see. Who fills the ring waits where the other is behind.

/** Memory that both threads see. */
export interface Ring {
  blocks: SharedArrayBuffer;
  digests: SharedArrayBuffer;
  /** Pieces that were pushed, pieces that are hashed, then the bytes of each place. */
  counts: SharedArrayBuffer;
}

const PLACES = 4;
const DIGESTS_SIZE = (GATHER_SIZE / BLOCK_SIZE) * HASH_SIZE;
const [PUSHED, HASHED, BYTES] = [0, 1, 2];

/** Milliseconds for a thread to hash a megabyte on a machine that has no time for it. */
const LIMIT = 120_000;

/** Starts a hasher in a thread whose program calls `hashRing` with its data; undefined where it would have no processor. */
export function startHasher(program: string): Hasher | undefined {
  if (availableParallelism() === 1) return undefined;
  const ring = createRing();
  const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 };
  new Worker(program, { workerData: ring, resourceLimits }).unref();
  return hasherOf(ring);
}

export function createRing(): Ring {
  return {
    blocks: new SharedArrayBuffer(PLACES * GATHER_SIZE),
    digests: new SharedArrayBuffer(PLACES * DIGESTS_SIZE),
    counts: new SharedArrayBuffer((BYTES + PLACES) * Int32Array.BYTES_PER_ELEMENT),
  };
}

/** The side of a ring that pushes; waits at most `limit` milliseconds for the other. */
export function hasherOf(ring: Ring, limit = LIMIT): Hasher {
  const { blocks, digests, counts } = openRing(ring);
  let [pushed, taken] = [0, 0];

  function take(until: number): Buffer[] {
    for (let hashed = counts[HASHED] ?? 0; hashed < until; hashed = Atomics.load(counts, HASHED)) {
      if (Atomics.wait(counts, HASHED, hashed, limit) === "timed-out") throw stands(limit);
    }
    const ready: Buffer[] = [];
    for (const hashed = Atomics.load(counts, HASHED); taken < hashed; taken++) {
      const size = ((counts[BYTES + (taken % PLACES)] ?? 0) / BLOCK_SIZE) * HASH_SIZE;
      ready.push(Buffer.from(digests(taken).subarray(0, size)));
    }
    return ready;
  }

  return {
    push(bytes) {
      const ready = take(pushed + 1 - PLACES);
      bytes.copy(blocks(pushed));
      counts[BYTES + (pushed % PLACES)] = bytes.length;
      Atomics.store(counts, PUSHED, ++pushed);
      Atomics.notify(counts, PUSHED);
      return ready;
    },
    finish: () => take(pushed),
  };
}

/** The other side, which never ends by itself: a thread's, which ends with its process. */
export function hashRing(ring: Ring): never {
  const { blocks, digests, counts } = openRing(ring);
  for (let hashed = 0; ; ) {
    if (Atomics.load(counts, PUSHED) === hashed) {
      Atomics.wait(counts, PUSHED, hashed);
      continue;
    }
    const [from, to] = [blocks(hashed), digests(hashed)];
    const count = (counts[BYTES + (hashed % PLACES)] ?? 0) / BLOCK_SIZE;
    for (let at = 0; at < count; at++) {
      to.write(hashBlock(from.subarray(at * BLOCK_SIZE, (at + 1) * BLOCK_SIZE)), at * HASH_SIZE, HASH_SIZE, "latin1");
    }
    Atomics.store(counts, HASHED, ++hashed);
    Atomics.notify(counts, HASHED);
  }
}

function openRing({ blocks, digests, counts }: Ring) {
  return {
    blocks: (piece: number) => Buffer.from(blocks, (piece % PLACES) * GATHER_SIZE, GATHER_SIZE),
    digests: (piece: number) => Buffer.from(digests, (piece % PLACES) * DIGESTS_SIZE, DIGESTS_SIZE),
    counts: new Int32Array(counts),
  };
}

function stands(limit: number): ErofsError {
  return new ErofsError("layer-write", `expected blocks to be hashed within ${limit / 1000} s, got nothing`, {
    hint: "stage the image again",
  });
}
