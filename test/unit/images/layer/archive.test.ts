import { describe, expect, test } from "vitest";
import type { SourceEntry, TarVisitor } from "../../../../images/entry.ts";
import { archive } from "../../../../images/layer/archive.ts";
import { entryOf, readTar, tarOf } from "../entries.ts";

const nobody: TarVisitor = { entry: () => {}, data: () => {} };

async function archived(entries: SourceEntry[], visitor = nobody): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of archive(entries, visitor)) pieces.push(piece);
  return pieces;
}

function withBytes(path: string, bytes: Buffer): SourceEntry {
  return entryOf({ path, size: bytes.length, content: { bytes } });
}

describe("archive", () => {
  test("writes the archive that the codec writes, in pieces of 1 MiB", async () => {
    const large = Buffer.alloc(2_500_000, "large");
    const small = Buffer.from("small");
    const pieces = await archived([withBytes("large", large), withBytes("small", small)]);
    const expected = tarOf([
      { entry: entryOf({ path: "large", size: large.length }), data: large },
      { entry: entryOf({ path: "small", size: small.length }), data: small },
    ]);
    expect(Buffer.concat(pieces).equals(expected)).toBe(true);
    expect(pieces.slice(0, -1).every((piece) => piece.length === 1024 * 1024)).toBe(true);
  });

  test("shows the visitor what a reader of the archive sees", async () => {
    const seen: string[] = [];
    const visitor: TarVisitor = {
      entry: (entry) => seen.push(entry.path),
      data: (chunk) => seen.push(chunk.toString()),
    };
    const pieces = await archived(
      [entryOf({ path: "d", type: "directory" }), withBytes("f", Buffer.from("x"))],
      visitor,
    );
    expect(seen).toEqual(["d", "f", "x"]);
    expect(readTar(Buffer.concat(pieces)).map(({ entry }) => entry.path)).toEqual(["d", "f"]);
  });

  test("refuses content that is not as long as its entry says", async () => {
    const entry = { ...withBytes("f", Buffer.from("12345")), size: 6 };
    await expect(archived([entry])).rejects.toThrow(
      "layer entry f: expected 6 bytes, got 5: it changed while it was read",
    );
  });

  test("refuses a file without content", async () => {
    await expect(archived([entryOf({ size: 6 })])).rejects.toThrow("expected 6 bytes of content");
  });
});
