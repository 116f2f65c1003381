import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { syncFilesystem } from "../effects/durable.ts";
import { openSource } from "../effects/source.ts";
import { systemClock } from "../hostd/clock.ts";
import { fetchBlob, layBlob } from "../hostd/stage/bring.ts";
import { createTurnsByKey } from "../hostd/stage/turns.ts";
import { openNode } from "../hostd/system/open.ts";
import { loadImage } from "../images/image.ts";
import { openStore } from "../images/store.ts";
import { verityOf } from "../manifests/image.ts";

// What hostd does to stage an image, by its own functions; bundled as hostd is (bundle.ts): ours.mjs REPOSITORY TAG STATE

const [repository = "", tag = "", state = ""] = process.argv.slice(2);
const run = join(state, "run");
mkdirSync(join(state, "parts"), { recursive: true });
const node = await openNode({ stateDirectory: state, runDirectory: run });
const { manifest } = await loadImage(await openStore(join(repository, "oci")), tag);

const { signal } = new AbortController();
const pace = () => Promise.resolve();
const source = openSource(repository);
const layerTurns = createTurnsByKey();
const care = { laidDown: () => {} };
const bringer = { source, node, clock: systemClock, care, settings: {}, pace, layerTurns, stateDirectory: state };
for (const layer of manifest.layers) {
  if (await node.hasLayer(verityOf(layer))) continue;
  const coming = { layer, signal };
  await fetchBlob(bringer, coming);
  await layBlob(bringer, coming);
}
await syncFilesystem(state);
