import { spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { run } from "../../../../effects/process.ts";
import { withTemporaryDirectory } from "../../../../effects/temporary.ts";
import { layDown } from "../../../../images/layer/laydown.ts";
import { packLayer } from "../../../../images/layer/pack.ts";
import { walkDirectory } from "../../../../images/layer/walk.ts";
import { openStore } from "../../../../images/store.ts";
import { verifyErofs } from "../../../../images/verity.ts";
import { verityOf } from "../../../../manifests/image.ts";
import { describeTree } from "../../../compare-trees.ts";
import { makeNastyTree } from "../../../nasty-tree.ts";
import { describeWith } from "../../../needs.ts";
import { extractTree, makeLayer, packTree } from "../../../test-layer.ts";
import { withErofs, withMemoryFilesystem, withMount } from "../../../with-mount.ts";

const PROGRAMS = ["tar", "zstd", "fsck.erofs", "setfattr", "getfattr", "mount"];

/** fsck.erofs 1.5 ends with 0 on a wrong superblock checksum, so only its silence counts. */
function fsckMessages(image: string): string {
  const { stdout, stderr, status } = spawnSync("fsck.erofs", [image], { encoding: "utf8" });
  return `${status} ${stdout}${stderr}`.replace("No errors found", "").trim();
}

describeWith({ root: true, programs: PROGRAMS }, "a laid-down layer and the kernel", () => {
  it("the mounted layer is the tree that GNU tar extracts, in everything", async () => {
    await withTemporaryDirectory(tmpdir(), (work) =>
      withMemoryFilesystem(join(work, "memory"), async (memory) => {
        const [source, extracted] = [join(memory, "source"), join(memory, "extracted")];
        const [tar, image] = [join(work, "nasty.tar"), join(work, "nasty.erofs")];
        for (const directory of [source, extracted]) mkdirSync(directory);
        makeNastyTree(source);
        await packTree(source, tar);
        await extractTree(tar, extracted);
        const { blob, layer } = await makeLayer(tar);
        await layDown(blob, layer, image);

        expect(fsckMessages(image)).toBe("0");
        await verifyErofs(image, verityOf(layer));
        const expected = describeTree(extracted);
        expect(expected.size).toBeGreaterThan(5090);
        await withErofs(image, join(work, "mount"), async (mount) => {
          expect(describeTree(mount)).toEqual(expected);
          for (const absent of ["many/5000", "many/-1", "many/zz", "zz", "!", "size"]) {
            expect(lstatSync(join(mount, absent), { throwIfNoEntry: false })).toBeUndefined();
          }
        });
      }),
    );
  });

  it("what the builder packs and signs is what a node lays down and mounts", async () => {
    await withTemporaryDirectory(tmpdir(), (work) =>
      withMemoryFilesystem(join(work, "memory"), async (source) => {
        makeNastyTree(source);
        const store = await openStore(join(work, "store"));
        for (const compression of ["zstd", "gzip"] as const) {
          const image = join(work, `${compression}.erofs`);
          const options = { section: "bootstrap", compression } as const;
          const { descriptor } = await packLayer(store, await walkDirectory(source), options);
          await layDown(store.pathOf(descriptor.digest), descriptor, image);
          await withErofs(image, join(work, compression), async (mount) => {
            expect(describeTree(mount)).toEqual(describeTree(source));
          });
        }
      }),
    );
  });

  it("fsck.erofs says when the superblock is not what was written, and the kernel refuses it", async () => {
    await withTemporaryDirectory(tmpdir(), async (work) => {
      const image = join(work, "image.erofs");
      await layTree(work, image, (tree) => writeFileSync(join(tree, "file"), "text"));
      const bytes = readFileSync(image);
      bytes.writeUInt8(bytes.readUInt8(1024 + 16) ^ 1, 1024 + 16);
      writeFileSync(image, bytes);
      expect(fsckMessages(image)).not.toBe("0");
      await expect(withErofs(image, join(work, "mount"), async () => {})).rejects.toThrow();
    });
  });

  it("a disk that is full fails the layer, names it and leaves nothing", async () => {
    await withTemporaryDirectory(tmpdir(), async (work) => {
      const tar = join(work, "large.tar");
      await withTemporaryDirectory(work, async (tree) => {
        writeFileSync(join(tree, "large"), Buffer.alloc(8 * 1024 * 1024, "full"));
        await packTree(tree, tar);
      });
      const { blob, layer } = await makeLayer(tar);
      await withMount(["-t", "tmpfs", "-o", "size=4m"], "tmpfs", join(work, "small"), async (small) => {
        await expect(layDown(blob, layer, join(small, "layer"))).rejects.toMatchObject({
          code: "layer-write",
          message: expect.stringMatching(/^layer sha256:[0-9a-f]{64}: ENOSPC: no space left on device/),
        });
        expect(readdirSync(small)).toEqual([]);
      });
    });
  });

  it("stacked layers hide what the upper one took away or replaced", async () => {
    await withTemporaryDirectory(tmpdir(), async (work) => {
      const [lower, upper] = [join(work, "lower.erofs"), join(work, "upper.erofs")];
      await layTree(work, lower, (tree) => {
        for (const name of ["kept", "gone", "opaque", "opaque/inner", "file-now", "renewed"])
          mkdirSync(join(tree, name));
        for (const name of [
          "kept/old",
          "kept/gone",
          "gone/x",
          "opaque/old",
          "opaque/inner/x",
          "file-now/x",
          "renewed/x",
        ]) {
          writeFileSync(join(tree, name), "lower");
        }
        writeFileSync(join(tree, "directory-now"), "lower");
        symlinkSync("kept", join(tree, "link-gone"));
      });
      await layTree(work, upper, (tree) => {
        for (const name of ["kept", "opaque", "directory-now", "renewed"]) mkdirSync(join(tree, name));
        for (const name of [".wh.gone", ".wh.link-gone", "kept/.wh.gone", "opaque/.wh..wh..opq", ".wh.renewed"]) {
          writeFileSync(join(tree, name), "");
        }
        for (const name of ["kept/new", "opaque/new", "file-now", "directory-now/new"]) {
          writeFileSync(join(tree, name), "upper");
        }
      });
      await withErofs(lower, join(work, "l"), (low) =>
        withErofs(upper, join(work, "u"), (up) =>
          withMount(
            ["-t", "overlay", "-o", `ro,lowerdir=${up}:${low}`],
            "overlay",
            join(work, "merged"),
            async (merged) => {
              const { stdout } = await run(
                [
                  "find",
                  ".",
                  "-mindepth",
                  "1",
                  "-type",
                  "f",
                  "-printf",
                  "%P ",
                  "-exec",
                  "cat",
                  "{}",
                  ";",
                  "-printf",
                  "\n",
                  "-o",
                  "-mindepth",
                  "1",
                  "-printf",
                  "%P %y\n",
                ],
                { cwd: merged },
              );
              expect(stdout.trim().split("\n").sort()).toEqual([
                "directory-now d",
                "directory-now/new upper",
                "file-now upper",
                "kept d",
                "kept/new upper",
                "kept/old lower",
                "opaque d",
                "opaque/new upper",
                "renewed d",
              ]);
            },
          ),
        ),
      );
    });
  });
});

/** Makes a tree, packs it with GNU tar and lays it down. */
async function layTree(work: string, image: string, fill: (tree: string) => void): Promise<void> {
  await withTemporaryDirectory(work, async (tree) => {
    fill(tree);
    const tar = `${image}.tar`;
    await packTree(tree, tar);
    const { blob, layer } = await makeLayer(tar);
    await layDown(blob, layer, image);
  });
}
