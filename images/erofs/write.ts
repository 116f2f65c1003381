import type { TarVisitor } from "../tar/read.ts";

/** Where the bytes of an image go; each call comes once, from low positions to high, and must take all bytes. */
export interface ErofsOutput {
  write(bytes: Buffer, position: number): void;
}

export interface ErofsResult {
  /** Bytes of the image, without its hash tree. */
  size: number;
  /** dm-verity root hash, 64 hex digits. */
  root: string;
  /** Version of the layout, docs/formats/erofs.md. */
  format: 1;
  /** Block 0, the only one that was not given to the output: written last, since an image without it is refused. */
  superblock: Buffer;
  /** The dm-verity hash tree, from the top block down to the leaves; it belongs at offset `size`. */
  tree: Buffer[];
}

export interface ErofsWriter extends TarVisitor {
  finish(): ErofsResult;
}

/** Turns one layer's tar entries into an EROFS image in one pass; without an output it only computes the root hash. */
export function createErofsWriter(output: ErofsOutput | undefined): ErofsWriter {
  throw new Error(`the writer is being built: ${output === undefined}`);
}
