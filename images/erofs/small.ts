/** Room for bytes that are needed again at the end: a place outside the image that is given up afterwards. */
export interface Scratch {
  write(bytes: Buffer, position: number): void;
  /** Fills `target` with the bytes written at `position`. */
  read(target: Buffer, position: number): void;
}

/** Contents of small files, kept until their inodes are written. */
export interface SmallFiles {
  /** Makes room for a file of `size` bytes, whose content is appended next, and says its place. */
  begin(size: number): number;
  append(chunk: Buffer): void;
  /** The content; valid until the next is read. */
  read(place: number, size: number): Buffer;
}

const PIECE_SIZE = 1024 * 1024;

/** Gathers contents in pieces, none of them cut by a piece's end; with a scratch only the last piece is in memory. */
export function createSmallFiles(scratch?: Scratch): SmallFiles {
  const pieces: Buffer[] = [];
  const last = () => pieces.at(-1) ?? open();
  let used = PIECE_SIZE;
  let written = 0;
  let target = Buffer.alloc(0);

  function open(): Buffer {
    const full = pieces.at(-1);
    if (full !== undefined && scratch !== undefined) {
      scratch.write(full, written);
      written += PIECE_SIZE;
    } else {
      pieces.push(Buffer.alloc(PIECE_SIZE));
    }
    used = 0;
    return pieces.at(-1) ?? full ?? target;
  }

  return {
    begin(size) {
      if (used + size > PIECE_SIZE) open();
      return written + (pieces.length - 1) * PIECE_SIZE + used;
    },
    append(chunk) {
      used += chunk.copy(last(), used);
    },
    read(place, size) {
      if (place >= written) {
        const piece = pieces[Math.floor((place - written) / PIECE_SIZE)];
        return piece?.subarray(place % PIECE_SIZE, (place % PIECE_SIZE) + size) ?? target;
      }
      if (target.length < size) target = Buffer.alloc(PIECE_SIZE);
      scratch?.read(target.subarray(0, size), place);
      return target.subarray(0, size);
    },
  };
}
