import { type Entry, showPath, type TarVisitor } from "../entry.ts";
import { createBlockStream, type ErofsOutput } from "./blocks.ts";
import { ErofsError } from "./error.ts";
import type { Inode } from "./inode.ts";
import { BLOCK_SIZE, EROFS_FORMAT, INLINE_FILE_LIMIT, LAYER_LIMITS } from "./limits.ts";
import { writeMetadata } from "./metadata.ts";
import { createSmallFiles } from "./small.ts";
import { encodeSuperblock } from "./superblock.ts";
import { createLayerTree } from "./tree.ts";

export interface ErofsResult {
  /** Bytes of the image, without its hash tree. */
  size: number;
  /** dm-verity root hash, 64 hex digits. */
  root: string;
  /** Version of the layout, docs/formats/erofs.md. */
  format: typeof EROFS_FORMAT;
  /** Block 0, the only one that was not given to the output: written last, since an image without it is refused. */
  superblock: Buffer;
  /** The dm-verity hash tree, from the top block down to the leaves; it belongs at offset `size`, but for leaves the output took. */
  tree: Buffer[];
}

export interface ErofsWriter extends TarVisitor {
  /** Writes the metadata area and closes the hash tree. Nothing may follow. */
  finish(): ErofsResult;
}

/**
 * Turns one layer's tar entries into an EROFS image in overlay form, in one pass: file data goes out as it comes,
 * metadata at the end (docs/formats/erofs.md). The image is a function of the entries and their order alone. Without
 * an output it only computes the root hash. Throws ErofsError for what a layer may not hold.
 */
export function createErofsWriter(output: ErofsOutput | undefined): ErofsWriter {
  const tree = createLayerTree();
  const blocks = createBlockStream(output);
  const small = createSmallFiles(output?.scratch);
  let file: OpenFile | undefined;
  let inlineBytes = 0;

  function begin(inode: Inode, size: number): OpenFile {
    if (size <= INLINE_FILE_LIMIT && inlineBytes + size <= LAYER_LIMITS.inlineBytes) {
      inlineBytes += size;
      inode.content = { kind: "small", size, place: small.begin(size) };
      return { size, received: 0, small: true };
    }
    inode.content = { kind: "blocks", size, start: blocks.position() };
    return { size, received: 0, small: false };
  }

  function end(): void {
    if (file === undefined) return;
    if (file.received !== file.size) {
      throw new ErofsError("layer-content", `expected ${file.size} bytes of file content, got ${file.received}`);
    }
    if (!file.small) blocks.pad();
    file = undefined;
  }

  return {
    entry(entry) {
      end();
      const inode = tree.add(entry);
      if (entry.type === "file" && inode !== undefined && entry.size > 0) file = begin(inode, entry.size);
      else checkEmpty(entry);
    },
    data(chunk) {
      if (file === undefined || file.received + chunk.length > file.size) {
        throw new ErofsError("layer-content", "expected no content beyond the size of a file");
      }
      if (file.small) small.append(chunk);
      else blocks.append(chunk);
      file.received += chunk.length;
    },
    finish() {
      end();
      tree.check();
      const metadataBlock = blocks.position();
      const inodes = writeMetadata(tree.root, blocks, small);
      const count = blocks.position();
      const superblock = encodeSuperblock({ inodes, blocks: count, metadataBlock });
      const { root, chunks } = blocks.finish(superblock);
      return { size: count * BLOCK_SIZE, root, format: EROFS_FORMAT, superblock, tree: chunks };
    },
  };
}

/** A file whose content is still coming. */
interface OpenFile {
  size: number;
  received: number;
  small: boolean;
}

function checkEmpty(entry: Entry): void {
  if (entry.size === 0) return;
  throw new ErofsError(
    "layer-content",
    `${showPath(entry.path)}: expected no content in a ${entry.type}, got ${entry.size} bytes`,
  );
}
