import type { Entry } from "../images/entry.ts";
import { createErofsWriter, type ErofsResult } from "../images/erofs/write.ts";

/** An entry of a test layer: what is not said is that of an empty file of root's, 0644, from 1970. */
export type TestEntry = Partial<Omit<Entry, "size">> & { path: string; bytes?: Buffer };

export interface TestImage {
  /** The whole image with its superblock, without the hash tree. */
  image: Buffer;
  result: ErofsResult;
}

/** Fills up what a test does not care about. */
export function entryOf({ bytes, ...given }: TestEntry): Entry {
  const plain = { uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, link: "", xattrs: new Map<string, Buffer>() };
  const type = given.type ?? "file";
  const mode = type === "directory" ? 0o755 : 0o644;
  return { type, mode, ...plain, device: { major: 0, minor: 0 }, ...given, size: bytes?.length ?? 0 };
}

/** Writes entries as an image in memory; their contents come in pieces of `pieceSize` bytes. */
export function writeImage(entries: readonly TestEntry[], pieceSize = Number.MAX_SAFE_INTEGER): TestImage {
  const written: { bytes: Buffer; position: number }[] = [];
  const writer = createErofsWriter({
    write: (bytes, position) => void written.push({ bytes: Buffer.from(bytes), position }),
  });
  for (const entry of entries) {
    writer.entry(entryOf(entry));
    const bytes = entry.bytes ?? Buffer.alloc(0);
    for (let at = 0; at < bytes.length; at += pieceSize) writer.data(bytes.subarray(at, at + pieceSize));
  }
  const result = writer.finish();
  const image = Buffer.alloc(result.size);
  for (const { bytes, position } of written) bytes.copy(image, position);
  result.superblock.copy(image);
  return { image, result };
}

/** The message of the error that `act` throws. */
export function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as Error).message;
  }
  return "no error";
}
