import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withTemporaryDirectory } from "../../../effects/temporary.ts";
import { readVerified } from "../../../images/verified.ts";
import { digestFromHex } from "../../../manifests/digest.ts";

const MIB = 1024 * 1024;

async function withBlob(size: number, use: (path: string, blob: Blob, bytes: Buffer) => Promise<void>) {
  await withTemporaryDirectory(tmpdir(), async (directory) => {
    const bytes = randomBytes(size);
    const path = join(directory, "blob");
    writeFileSync(path, bytes);
    await use(path, { digest: digestFromHex(createHash("sha256").update(bytes).digest("hex")), size }, bytes);
  });
}

type Blob = Parameters<typeof readVerified>[1];

async function readAll(path: string, blob: Blob): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of readVerified(path, blob)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

test.each([0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 5])("gives a blob of %i bytes as it is", (size) =>
  withBlob(size, async (path, blob, bytes) => {
    expect((await readAll(path, blob)).equals(bytes)).toBe(true);
  }),
);

test("gives no byte of a file of another digest, another size or no file", () =>
  withBlob(3 * MIB, async (path, blob, bytes) => {
    const given: Buffer[] = [];
    const read = async (wrong: string, expected: Blob) => {
      for await (const piece of readVerified(wrong, expected)) given.push(Buffer.from(piece));
    };
    await expect(read(path, { ...blob, size: blob.size - 1 })).rejects.toMatchObject({ code: "blob-digest" });
    await expect(read(`${path}-not`, blob)).rejects.toMatchObject({ code: "blob-missing" });
    bytes[2 * MIB + 17] = (bytes[2 * MIB + 17] ?? 0) ^ 1; // in the last piece, which is read last
    writeFileSync(path, bytes);
    await expect(read(path, blob)).rejects.toMatchObject({ code: "blob-digest", outcome: "failed" });
    expect(given).toEqual([]);
  }));

test("gives no byte that somebody changed after the file was verified", () =>
  withBlob(16 * MIB, async (path, blob, bytes) => {
    const given: Buffer[] = [];
    const reading = (async () => {
      for await (const piece of readVerified(path, blob)) {
        if (given.length === 0) await overwrite(path, 9 * MIB, "other bytes");
        given.push(Buffer.from(piece));
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: "blob-digest" });
    expect(Buffer.concat(given).equals(bytes.subarray(0, 9 * MIB))).toBe(true);
  }));

test("a file that somebody cuts meanwhile is refused where it ends", () =>
  withBlob(16 * MIB, async (path, blob) => {
    const reading = (async () => {
      for await (const _ of readVerified(path, blob)) await truncate(path, 9 * MIB + 5);
    })();
    await expect(reading).rejects.toMatchObject({ code: "blob-digest" });
  }));

async function overwrite(path: string, position: number, text: string): Promise<void> {
  const file = await open(path, "r+");
  await file.write(text, position);
  await file.close();
}

async function truncate(path: string, size: number): Promise<void> {
  const file = await open(path, "r+");
  await file.truncate(size);
  await file.close();
}
