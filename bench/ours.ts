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

// What hostd does to stage an image, by its own functions: ours.ts REPOSITORY TAG STATE

const [repository = "", tag = "", state = ""] = process.argv.slice(2);
const run = join(state, "run");
const parts = join(state, "parts");
mkdirSync(parts, { recursive: true });
const node = await openNode({ stateDirectory: state, runDirectory: run });
const { manifest, config } = await loadImage(await openStore(join(repository, "oci")), tag);

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
