import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../../../effects/process.ts";
import { readFromImage } from "../../../../images/layer/find.ts";
import { openStore, type Store } from "../../../../images/store.ts";
import { type Descriptor, type ImageManifest, MEDIA_TYPES } from "../../../../manifests/image.ts";

describe("readFromImage", () => {
  let directory: string;
  let store: Store;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "ostler-find-"));
    store = await openStore(join(directory, "store"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  let count = 0;
  /** A layer that GNU tar made of files; a target makes a symlink. */
  async function layerOf(files: Record<string, string | { link: string }>): Promise<Descriptor> {
    const tree = join(directory, `tree-${++count}`);
    mkdirSync(tree);
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      if (typeof content === "string") writeFileSync(join(tree, path), content);
      else symlinkSync(content.link, join(tree, path));
    }
    const tar = `${tree}.tar`;
    await run(["tar", "--format=pax", "--sort=name", "-cf", tar, "-C", tree, "."]);
    const { createReadStream } = await import("node:fs");
    return { mediaType: MEDIA_TYPES.layerTar, ...(await store.write(createReadStream(tar))) };
  }

  async function find(
    layers: Record<string, string | { link: string }>[],
    path = "usr/lib/loader",
  ): Promise<string | undefined> {
    const made: Descriptor[] = [];
    for (const files of layers) made.push(await layerOf(files));
    const config = { mediaType: MEDIA_TYPES.config, digest: made[0]?.digest ?? "sha256:", size: 1 };
    const manifest: ImageManifest = { schemaVersion: 2, config, layers: made };
    return (await readFromImage(store, manifest, path, 4096))?.toString();
  }

  test.each<[string, Record<string, string | { link: string }>[], string | undefined]>([
    ["finds a file in the base", [{ "usr/lib/loader": "one" }, { "usr/bin/x": "x" }], "one"],
    ["takes the topmost layer's", [{ "usr/lib/loader": "one" }, { "usr/lib/loader": "two" }], "two"],
    ["finds an empty file", [{ "usr/lib/loader": "" }], ""],
    ["finds nothing where there is none", [{ "usr/lib/loaders": "one" }], undefined],
    ["does not bring back what is gone", [{ "usr/lib/loader": "one" }, { "usr/lib/.wh.loader": "" }], undefined],
    ["nor what went with its directory", [{ "usr/lib/loader": "one" }, { "usr/.wh.lib": "" }], undefined],
    ["nor what an opaque directory hides", [{ "usr/lib/loader": "one" }, { "usr/.wh..wh..opq": "" }], undefined],
    ["nor what is behind a link", [{ "usr/lib/loader": "one" }, { "usr/lib": { link: "/lib" } }], undefined],
    ["takes no link for a file", [{ "usr/lib/loader": { link: "other" } }], undefined],
    ["takes no file over the limit", [{ "usr/lib/loader": "x".repeat(4097) }], undefined],
    [
      "finds what came back after it was gone",
      [{ "usr/lib/loader": "one" }, { "usr/lib/.wh.loader": "" }, { "usr/lib/loader": "three" }],
      "three",
    ],
  ])("%s", async (_rule, layers, found) => expect(await find(layers)).toBe(found));
});
