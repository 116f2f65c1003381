import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { run } from "../../../../effects/process.ts";
import { withTemporaryDirectory } from "../../../../effects/temporary.ts";
import { type TestImage, writeImage } from "../../../erofs-image.ts";
import { describeWith } from "../../../needs.ts";

/** Data blocks below, at and above what one, two and three levels of hashes hold. */
const FILE_SIZES = [10, 125 * 4096, 126 * 4096, 127 * 4096, 16_381 * 4096, 16_383 * 4096];

const options = (image: TestImage) => [
  "--no-superblock",
  "--salt=-",
  `--data-blocks=${image.result.size / 4096}`,
  "--data-block-size=4096",
  "--hash-block-size=4096",
];

describeWith({ programs: ["veritysetup"] }, "the hash tree and veritysetup", () => {
  it.each(FILE_SIZES)("gives the same tree and root for a file of %i bytes", async (size) => {
    await withTemporaryDirectory(tmpdir(), async (work) => {
      const written = writeImage([{ path: "f", bytes: Buffer.alloc(size, "0123456789abcdef") }]);
      const [data, tree] = [join(work, "image"), join(work, "tree")];
      writeFileSync(data, written.image);
      writeFileSync(tree, "");
      const { stdout } = await run(["veritysetup", "format", ...options(written), data, tree]);
      expect(stdout).toMatch(new RegExp(`Root hash:\\s+${written.result.root}`));
      expect(readFileSync(tree).equals(Buffer.concat(written.result.tree))).toBe(true);
    });
  });

  it("veritysetup accepts the tree behind the image, and refuses it with one byte changed", async () => {
    await withTemporaryDirectory(tmpdir(), async (work) => {
      const written = writeImage([{ path: "f", bytes: Buffer.alloc(1_000_000, 7) }]);
      const { size, root, tree } = written.result;
      const file = join(work, "layer.erofs");
      const bytes = Buffer.concat([written.image, ...tree]);
      writeFileSync(file, bytes);
      const verify = ["veritysetup", "verify", ...options(written), `--hash-offset=${size}`, file, file, root];
      await run(verify);
      bytes.writeUInt8(8, 500_000);
      writeFileSync(file, bytes);
      await expect(run(verify)).rejects.toThrow(/exit code/);
    });
  });
});
