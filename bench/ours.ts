import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { syncFilesystem } from "../effects/durable.ts";
import { openSource } from "../effects/source.ts";
import { systemClock } from "../hostd/clock.ts";
import { fetchLayer } from "../hostd/stage/blob.ts";
import { openNode } from "../hostd/system/open.ts";
import { loadImage } from "../images/image.ts";
import { openStore } from "../images/store.ts";
import { hexOf } from "../manifests/digest.ts";
import { verityOf } from "../manifests/image.ts";

// What hostd does to stage an image and mount it, by its own functions: ours.ts REPOSITORY TAG STATE [stage|mount]

const [repository = "", tag = "", state = "", what = "stage"] = process.argv.slice(2);
const run = join(state, "run");
const parts = join(state, "parts");
mkdirSync(parts, { recursive: true });
const node = await openNode({ stateDirectory: state, runDirectory: run });
const { descriptor, manifest, config } = await loadImage(await openStore(join(repository, "oci")), tag);

if (what === "stage") {
  const source = openSource(repository);
  const { signal } = new AbortController();
  for (const [index, layer] of manifest.layers.entries()) {
    const diffId = config.rootfs.diff_ids[index];
    if (diffId === undefined || (await node.hasLayer(verityOf(layer)))) continue;
    const pace = () => Promise.resolve();
    const blob = await fetchLayer({ source, layer, parts, signal, pace, sleep: systemClock.sleep, onBytes: () => {} });
    await node.layDownLayer({ blob, layer, diffId, signal });
    rmSync(join(parts, hexOf(layer.digest)));
  }
  await syncFilesystem(state);
} else {
  const layers = manifest.layers.map(verityOf);
  const times: number[] = [];
  for (let round = 0; round < 7; round++) {
    const started = performance.now();
    await node.mountSlot({ app: "bench", image: descriptor.digest, layers });
    times.push(performance.now() - started);
    await node.unmountSlot("bench", descriptor.digest);
  }
  console.log(JSON.stringify(times.sort((a, b) => a - b)[3]));
}
