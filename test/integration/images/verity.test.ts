import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { withTemporaryDirectory } from "../../../effects/temporary.ts";
import { verifyErofs } from "../../../images/verity.ts";
import { writeImage } from "../../erofs-image.ts";

/** Two levels of hashes: 700 data blocks and more. */
const written = writeImage([{ path: "big", bytes: Buffer.alloc(700 * 4096, "0123456789") }, { path: "small" }]);
const { size, root } = written.result;
const verity = { root, size, format: 1 };
const whole = Buffer.concat([written.image, ...written.result.tree]);
const blocks = size / 4096;

async function verify(bytes: Buffer, expected = verity): Promise<unknown> {
  return withTemporaryDirectory(tmpdir(), async (work) => {
    const file = join(work, "layer.erofs");
    writeFileSync(file, bytes);
    return verifyErofs(file, expected).catch((error: Error) =>
      Object.assign(error, { message: error.message.replace(file, "FILE") }),
    );
  });
}

function flipped(offset: number): Buffer {
  const bytes = Buffer.from(whole);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset);
  return bytes;
}

describe("verifyErofs", () => {
  it("accepts what was written", async () => {
    expect(await verify(whole)).toBeUndefined();
  });

  it.each([
    { what: "the superblock", offset: 1024, block: 0 },
    { what: "the first data block", offset: 4096, block: 1 },
    { what: "a byte amid the data", offset: 300 * 4096 + 17, block: 300 },
    { what: "the last byte before a new read", offset: 256 * 4096 - 1, block: 255 },
    { what: "the metadata", offset: size - 1, block: blocks - 1 },
  ])("names block and offset when $what is changed", async ({ offset, block }) => {
    expect(await verify(flipped(offset))).toMatchObject({
      code: "image-damaged",
      outcome: "refused",
      message: `FILE: expected the signed bytes in data block ${block} at byte offset ${block * 4096}, got others`,
      details: { block, offset: block * 4096, part: "data block" },
    });
  });

  it.each([
    { what: "the top block", offset: size, block: 0 },
    { what: "a block of digests", offset: size + 3 * 4096 + 5, block: 3 },
    { what: "the padding of the last block", offset: whole.length - 1, block: whole.length / 4096 - blocks - 1 },
  ])("says that the hash tree is damaged when $what is changed", async ({ offset, block }) => {
    expect(await verify(flipped(offset))).toMatchObject({
      code: "image-damaged",
      message: `FILE: expected the signed bytes in hash tree block ${block} at byte offset ${size + block * 4096}, got others`,
      details: { part: "hash tree block" },
    });
  });

  it("names the first of several damaged blocks", async () => {
    const bytes = flipped(500 * 4096);
    bytes.writeUInt8(bytes.readUInt8(100 * 4096) ^ 1, 100 * 4096);
    expect(await verify(bytes)).toMatchObject({ details: { block: 100 } });
  });

  it.each([
    ["cut short", whole.subarray(0, -1)],
    ["longer", Buffer.concat([whole, Buffer.alloc(1)])],
    ["empty", Buffer.alloc(0)],
  ])("refuses a file that is %s by its size", async (_, bytes) => {
    expect(await verify(bytes)).toMatchObject({
      code: "image-damaged",
      message: `FILE: expected ${whole.length} bytes with the hash tree, got ${bytes.length}`,
    });
  });

  it("refuses a whole image that is not the signed one", async () => {
    expect(await verify(whole, { ...verity, root: "0".repeat(64) })).toMatchObject({ code: "image-damaged" });
  });

  it("refuses a format that it does not know", async () => {
    expect(await verify(whole, { ...verity, format: 2 })).toMatchObject({ code: "layer-format" });
  });

  it("says when there is no file", async () => {
    const missing = join(tmpdir(), "no-such-layer.erofs");
    await expect(verifyErofs(missing, verity)).rejects.toMatchObject({ code: "image-missing" });
  });

  it("accepts the smallest image, whose tree is one block", async () => {
    const { image, result } = writeImage([]);
    const bytes = Buffer.concat([image, ...result.tree]);
    expect(result.size).toBe(2 * 4096);
    expect(await verify(bytes, { root: result.root, size: result.size, format: 1 })).toBeUndefined();
  });
});
