import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { packLayer } from "../../../images/layer/pack.ts";
import { walkDirectory } from "../../../images/layer/walk.ts";
import { openStore, type Store } from "../../../images/store.ts";
import type { Compression } from "../../../images/zstd.ts";
import { type Descriptor, MEDIA_TYPES } from "../../../manifests/image.ts";
import { describeTree } from "../../compare-trees.ts";
import { describeWith } from "../../needs.ts";

let parent: string;
let store: Store;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "oci-"));
  store = await openStore(join(parent, "store"));
});

afterAll(async () => {
  await rm(parent, { recursive: true, force: true });
});

/** A lower tree, and an upper directory that takes some of it away. */
async function makeTrees(): Promise<string[]> {
  const trees = [join(parent, "lower"), join(parent, "upper")];
  for (const tree of trees) await mkdir(tree, { recursive: true });
  execFileSync(
    "sh",
    ["-euc", "mkdir d hidden; echo a > d/a; echo b > d/b; touch hidden/x; chmod 4755 d/a; ln d/b d/c"],
    {
      cwd: trees[0],
    },
  );
  execFileSync(
    "sh",
    ["-euc", "mkdir d hidden; mknod d/a c 0 0; echo n > hidden/n; setfattr -n trusted.overlay.opaque -v y hidden"],
    { cwd: trees[1] },
  );
  return trees;
}

async function writeImage(name: string, compression: Compression): Promise<Descriptor> {
  const layers = [];
  for (const tree of await makeTrees()) {
    layers.push(await packLayer(store, await walkDirectory(tree), { compression, section: "base" }));
    await rm(tree, { recursive: true });
  }
  const diffIds = layers.map(({ diffId }) => diffId);
  const config = await writeJson({
    architecture: "amd64",
    os: "linux",
    config: { Env: ["A=b"] },
    rootfs: { type: "layers", diff_ids: diffIds },
  });
  const manifest = await writeJson({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: { mediaType: MEDIA_TYPES.config, ...config },
    layers: layers.map(({ descriptor }) => descriptor),
  });
  const descriptor = { mediaType: MEDIA_TYPES.manifest, ...manifest };
  await store.tag(name, descriptor);
  return descriptor;
}

const writeJson = (value: unknown) => store.write(Buffer.from(JSON.stringify(value)));

describeWith({ root: true, programs: ["skopeo", "mknod", "getfattr", "setfattr"] }, "skopeo", () => {
  test.each<Compression>(["zstd", "gzip"])("reads and copies an image with %s layers as it is", async (compression) => {
    const descriptor = await writeImage(`shop:${compression}`, compression);
    const source = `oci:${store.directory}:shop:${compression}`;
    const inspected = JSON.parse((await run(["skopeo", "inspect", source])).stdout);
    expect(inspected).toMatchObject({ Digest: descriptor.digest, Architecture: "amd64", Env: ["A=b"] });
    const target = join(parent, `copy-${compression}`);
    await run(["skopeo", "--insecure-policy", "copy", "--preserve-digests", source, `dir:${target}`]);
    expect(await readdir(target)).toEqual(
      expect.arrayContaining(inspected.Layers.map((digest: string) => digest.slice(7))),
    );
  });

  test("writes an image into the layout that the store then names", async () => {
    const descriptor = await writeImage("shop:zstd", "zstd");
    const other = await openStore(join(parent, "other"));
    const target = `oci:${other.directory}:copied:v1`;
    await run([
      "skopeo",
      "--insecure-policy",
      "copy",
      "--preserve-digests",
      `oci:${store.directory}:shop:zstd`,
      target,
    ]);
    expect((await other.resolve("copied:v1")).digest).toBe(descriptor.digest);
  });
});

describeWith({ root: true, programs: ["umoci", "mknod", "getfattr", "setfattr"] }, "umoci", () => {
  test("unpacks gzip layers to the tree that they mean", async () => {
    await writeImage("shop-gzip", "gzip");
    const bundle = join(parent, "bundle");
    await run(["umoci", "unpack", "--image", `${store.directory}:shop-gzip`, bundle]);
    const tree = describeTree(join(bundle, "rootfs"));
    expect([...tree.keys()].sort()).toEqual([".", "d", "d/b", "d/c", "hidden", "hidden/n"]);
    expect(tree.get("d/c")).toContain("=d/b ");
  });
});
