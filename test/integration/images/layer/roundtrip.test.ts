import { createReadStream } from "node:fs";
import { appendFile, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../../../../effects/process.ts";
import { layDown } from "../../../../images/layer/laydown.ts";
import { type PackedLayer, packLayer } from "../../../../images/layer/pack.ts";
import { unpackLayer } from "../../../../images/layer/unpack.ts";
import { walkDirectory } from "../../../../images/layer/walk.ts";
import { openStore, type Store } from "../../../../images/store.ts";
import { MEDIA_TYPES } from "../../../../manifests/image.ts";
import { describeTree } from "../../../compare-trees.ts";
import { makeNastyTree } from "../../../nasty-tree.ts";
import { describeWith } from "../../../needs.ts";
import { extractTree, packTree } from "../../../test-layer.ts";
import { withErofs, withMemoryFilesystem, withMount } from "../../../with-mount.ts";

const TOOLS = { root: true, programs: ["tar", "zstd", "getfattr", "setfattr", "mknod", "mkfifo"] };
const SECTION = { section: "deploy" } as const;

let parent: string;
let store: Store;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "layer-"));
  store = await openStore(join(parent, "store"));
});

afterEach(async () => {
  await rm(parent, { recursive: true, force: true });
});

async function directory(name: string): Promise<string> {
  const path = join(parent, name);
  await mkdir(path, { recursive: true });
  return path;
}

/** The layer's tar, as the zstd program unpacks it. */
async function tarOf(layer: PackedLayer): Promise<string> {
  const tar = join(parent, "layer.tar");
  await run(["zstd", "-d", "-q", "-f", store.pathOf(layer.descriptor.digest), "-o", tar]);
  return tar;
}

function unpack(layer: PackedLayer, target: string) {
  const { digest, mediaType } = layer.descriptor;
  return unpackLayer(store.stream(digest), mediaType, layer.diffId, target);
}

/** Shows the paths that differ, and not two descriptions of thousands. */
function expectTree(directory: string, expected: Map<string, string>): void {
  const found = describeTree(directory);
  const paths = [...new Set([...expected.keys(), ...found.keys()])];
  const differing = paths.filter((path) => found.get(path) !== expected.get(path));
  expect(differing.slice(0, 10).map((path) => [path, expected.get(path), found.get(path)])).toEqual([]);
}

const packed = async (tree: string) => packLayer(store, await walkDirectory(tree), SECTION);

describeWith(TOOLS, "a tree of everything that Linux has", () => {
  test("is the same after a layer, by GNU tar, by unpackLayer and by the kernel's EROFS", async () => {
    await withMemoryFilesystem(join(parent, "memory"), async (memory) => {
      const [tree, foreign, own] = [join(memory, "tree"), join(memory, "foreign"), join(memory, "own")];
      for (const path of [tree, foreign]) await mkdir(path);
      makeNastyTree(tree);
      const expected = describeTree(tree);
      const layer = await packed(tree);

      await extractTree(await tarOf(layer), foreign);
      expectTree(foreign, expected);
      await unpack(layer, own);
      expectTree(own, expected);
      const image = join(parent, "layer.erofs");
      await layDown(store.pathOf(layer.descriptor.digest), layer.descriptor, image);
      await withErofs(image, join(parent, "erofs"), async (mounted) => {
        expectTree(mounted, expected);
      });
      expect(await packed(own)).toEqual(layer);
    });
  });

  test("is the same out of GNU tar's archive, whether GNU tar or unpackLayer unpacks it", async () => {
    await withMemoryFilesystem(join(parent, "memory"), async (memory) => {
      const [tree, foreign, own] = [join(memory, "tree"), join(memory, "foreign"), join(memory, "own")];
      for (const path of [tree, foreign]) await mkdir(path);
      makeNastyTree(tree);
      const tar = join(parent, "foreign.tar");
      await packTree(tree, tar);
      await unpackLayer(createReadStream(tar), MEDIA_TYPES.layerTar, undefined, own);
      await extractTree(tar, foreign);
      expectTree(own, describeTree(foreign));
    });
  });
});

describeWith(TOOLS, "packLayer", () => {
  test("gives one digest for one tree, in whatever order it was made", async () => {
    const names = Array.from({ length: 300 }, (_, index) => `${(index * 7919) % 1000}-${index}`);
    await withMemoryFilesystem(join(parent, "memory"), async (memory) => {
      const layers = [];
      for (const [index, order] of [names, [...names].reverse()].entries()) {
        const tree = join(memory, String(index));
        await mkdir(tree);
        for (const name of order) {
          await writeFile(join(tree, name), name.repeat(100));
          await utimes(join(tree, name), 1, 1);
        }
        await utimes(tree, 1, 1);
        layers.push(await packed(tree), await packed(tree));
      }
      expect(new Set(layers.map((layer) => JSON.stringify(layer))).size).toBe(1);
    });
  });

  test("packs a file of half a gigabyte in memory that does not grow with it", async () => {
    const tree = await directory("tree");
    await run(["truncate", "--size=512M", join(tree, "large")]);
    const program = `
      const [{ openStore }, { packLayer }, { walkDirectory }] = await Promise.all(process.argv.slice(3).map((file) => import(file)));
      const directory = process.argv[1];
      const store = await openStore(process.argv[2]);
      await packLayer(store, await walkDirectory(directory), { section: "base" });
      console.log(process.resourceUsage().maxRSS);`;
    const modules = ["store.ts", "layer/pack.ts", "layer/walk.ts"].map((name) =>
      join(import.meta.dirname, "../../../../images", name),
    );
    const command = [process.execPath, "--input-type=module", "-e", program, tree, store.directory, ...modules];
    expect(Number((await run(command)).stdout)).toBeLessThan(300_000);
  });

  test("refuses a file that grows while it is packed, and leaves no blob", async () => {
    const tree = await directory("tree");
    await writeFile(join(tree, "log"), "one");
    const entries = await walkDirectory(tree);
    await appendFile(join(tree, "log"), "two");
    await expect(packLayer(store, entries, SECTION)).rejects.toThrow(
      "layer entry log: expected 3 bytes, got 6: it changed while it was read",
    );
    await expect(run(["find", join(store.directory, "blobs"), "-type", "f"])).resolves.toMatchObject({ stdout: "" });
  });

  test("does not follow a symlink that took a file's place", async () => {
    const tree = await directory("tree");
    await writeFile(join(tree, "file"), "x");
    const entries = await walkDirectory(tree);
    await rm(join(tree, "file"));
    await symlink("/etc/hostname", join(tree, "file"));
    await expect(packLayer(store, entries, SECTION)).rejects.toMatchObject({ code: "ELOOP" });
  });
});

describeWith(TOOLS, "unpackLayer", () => {
  test("refuses a tar that is not the one of the diff_id", async () => {
    const layer = await packed(await directory("tree"));
    const wrong = { ...layer, diffId: `sha256:${"0".repeat(64)}` as const };
    await expect(unpack(wrong, join(parent, "out"))).rejects.toMatchObject({
      code: "diff-id-mismatch",
      message: `layer: expected diff_id sha256:${"0".repeat(64)}, got ${layer.diffId}`,
    });
  });

  test("refuses a directory that holds something", async () => {
    const layer = await packed(await directory("tree"));
    const target = await directory("full");
    await writeFile(join(target, "file"), "x");
    await expect(unpack(layer, target)).rejects.toMatchObject({ code: "unpack-target" });
  });

  test("refuses an archive that would write through a symlink", async () => {
    const [tree, outside] = [await directory("tree"), await directory("outside")];
    await mkdir(join(tree, "link"));
    await writeFile(join(tree, "link", "file"), "evil");
    const tar = join(parent, "evil.tar");
    await symlink(outside, join(parent, "link"));
    await run(["tar", "-cf", tar, "-C", parent, "link"]);
    await run(["tar", "-rf", tar, "-C", tree, "link/file"]);
    const target = join(parent, "out");
    const unpacking = unpackLayer(createReadStream(tar), MEDIA_TYPES.layerTar, undefined, target);
    await expect(unpacking).rejects.toMatchObject({ code: "layer-order" });
    await expect(readFile(join(outside, "file"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("says what tar said when the disk is full", async () => {
    const tree = await directory("tree");
    await writeFile(join(tree, "large"), Buffer.alloc(6 * 1024 * 1024));
    const layer = await packed(tree);
    await withMount(["-t", "tmpfs", "-o", "size=4m"], "tmpfs", join(parent, "small"), async (small) => {
      await expect(unpack(layer, join(small, "out"))).rejects.toMatchObject({
        code: "unpack-target",
        message: expect.stringMatching(/Wrote only|No space left on device/),
      });
    });
  });
});

describeWith(TOOLS, "the upper directory of an overlay", () => {
  test("gives the same view after a layer: gone, replaced, hidden and changed names", async () => {
    const [lower, upper, work] = [await directory("lower"), await directory("upper"), await directory("work")];
    await run(["sh", "-euc", LOWER], { cwd: lower });
    const options = (layer: string) => `lowerdir=${layer}:${lower}`;
    const writable = `lowerdir=${lower},upperdir=${upper},workdir=${work},redirect_dir=off,metacopy=off,index=off`;
    const expected = await withMount(
      ["-t", "overlay", "-o", writable],
      "overlay",
      join(parent, "view"),
      async (view) => {
        await run(["sh", "-euc", CHANGES], { cwd: view });
        return describeTree(view);
      },
    );
    const layer = await packed(upper);
    const unpacked = join(parent, "unpacked");
    await unpack(layer, unpacked);
    await withMount(["-t", "overlay", "-o", options(unpacked)], "overlay", join(parent, "again"), async (view) => {
      expectTree(view, expected);
    });
    expect(await packed(unpacked)).toEqual(layer);

    const image = join(parent, "layer.erofs");
    await layDown(store.pathOf(layer.descriptor.digest), layer.descriptor, image);
    await withErofs(image, join(parent, "erofs"), async (erofs) => {
      await withMount(["-t", "overlay", "-o", options(erofs)], "overlay", join(parent, "slot"), async (view) => {
        expectTree(view, expected);
      });
    });
  });

  test("is refused when its files live on below it", async () => {
    const upper = await directory("upper");
    await mkdir(join(upper, "moved"));
    await run(["setfattr", "-n", "trusted.overlay.redirect", "-v", "/old", join(upper, "moved")]);
    await expect(walkDirectory(upper)).rejects.toThrow(
      "layer entry moved: expected an overlay mounted with redirect_dir=off,metacopy=off,index=off, got trusted.overlay.redirect",
    );
  });
});

const LOWER = `
mkdir gone-directory hidden replaced kept 'to file' && touch gone-directory/a hidden/old replaced/x kept/one kept/two 'to file/x'
echo lower > gone && echo lower > changed && echo lower > 'to directory' && ln -s kept link && echo suid > suid
setfattr -n user.note -v lower changed`;

const CHANGES = `
rm -r gone gone-directory kept/one
rm -r hidden && mkdir hidden && touch hidden/new
rm -r 'to file' && echo file > 'to file'
rm 'to directory' && mkdir 'to directory' && touch 'to directory/x'
rm link && mkdir link && echo upper >> changed && chmod 4755 suid && ln suid suid-too
mkdir -p new/deep && touch new/deep/file && mv replaced/x replaced/y && chown 7:8 kept
mkdir twice && rmdir twice && mkfifo kept/fifo && rm changed && echo again > changed`;
