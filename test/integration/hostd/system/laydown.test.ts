import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { withTemporaryDirectory } from "../../../../effects/temporary.ts";
import { openLayers } from "../../../../hostd/system/layers.ts";
import { pathsOf } from "../../../../hostd/system/paths.ts";
import { LAYER_ANNOTATIONS, verityOf } from "../../../../manifests/image.ts";
import { annotate, makeLayer, packTree } from "../../../test-layer.ts";

/** A layer of 48 MB: more than hostd lays down itself. */
async function withLargeLayer(
  use: (input: { directory: string } & Awaited<ReturnType<typeof makeLayer>>) => Promise<void>,
) {
  await withTemporaryDirectory(tmpdir(), async (directory) => {
    mkdirSync(join(directory, "tree"));
    for (let n = 0; n < 12; n++) writeFileSync(join(directory, `tree/${n}`), Buffer.alloc(4_000_000 + n, n));
    await packTree(join(directory, "tree"), join(directory, "layer.tar"));
    await use({ directory, ...(await makeLayer(join(directory, "layer.tar"))) });
  });
}

function layersIn(directory: string) {
  return openLayers(pathsOf({ stateDirectory: join(directory, "state"), runDirectory: join(directory, "run") }));
}

test("a large layer is laid down by a process of its own and is the signed one", () =>
  withLargeLayer(async ({ directory, blob, layer }) => {
    const layers = await layersIn(directory);
    await layers.layDownLayer({ blob, layer });
    await layers.scrubLayer(verityOf(layer));
  }));

test("an abort ends it and leaves nothing half made", () =>
  withLargeLayer(async ({ directory, blob, layer }) => {
    const layers = await layersIn(directory);
    const controller = new AbortController();
    const done = layers.layDownLayer({ blob, layer, signal: controller.signal });
    await delay(150);
    controller.abort(new Error("aborted by ann"));
    await expect(done).rejects.toThrow("aborted by ann");
    expect(readdirSync(join(directory, "state/layers"))).toEqual([]);
    await layers.layDownLayer({ blob, layer });
    await layers.scrubLayer(verityOf(layer));
  }));

test("its refusal is told by code, as if hostd had laid the layer down itself", () =>
  withLargeLayer(async ({ directory, blob, layer }) => {
    const layers = await layersIn(directory);
    const other = annotate(layer, LAYER_ANNOTATIONS.verityRoot, "0".repeat(64));
    await expect(layers.layDownLayer({ blob, layer: other })).rejects.toMatchObject({
      code: "verity-mismatch",
      outcome: "refused",
    });
    expect(readdirSync(join(directory, "state/layers"))).toEqual([]);
  }));
