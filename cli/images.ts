import { join } from "node:path";
import { shortDigest } from "../manifests/digest.ts";
import { bytes, table } from "../terminal/table.ts";
import type { Verb } from "../terminal/verb.ts";

export const verb: Verb = {
  name: "images",
  summary: "list the images of the store",
  arguments: [{ name: "[name]", summary: "only images of this name" }],
  examples: ["ostler images", "ostler images shop --json"],
  async run({ arguments: [name], options }) {
    const [{ openStore }, { loadImage }] = await Promise.all([
      import("../images/store.ts"),
      import("../images/image.ts"),
    ]);
    const store = await openStore(join(String(options["home"]), "store"));
    const tags = (await store.tags()).filter((tag) => name === undefined || tag.name.split(":")[0] === name);
    const images = await Promise.all(
      tags.map(async ({ name, descriptor }) => {
        const { manifest, config } = await loadImage(store, descriptor.digest);
        const layers = manifest.layers.map(({ digest, size, annotations }) => ({ digest, size, annotations }));
        const size = layers.reduce((sum, layer) => sum + layer.size, 0);
        return { name, digest: descriptor.digest, layers, size, created: config.created };
      }),
    );
    images.sort((a, b) => (a.name < b.name ? -1 : 1));
    const rows = images.map(({ name, digest, layers, size, created }) => {
      return [name, shortDigest(digest), String(layers.length), bytes(size), created ?? ""];
    });
    return {
      json: { schema: 1, images },
      text:
        rows.length === 0
          ? "no images: ostler build RECIPE makes one"
          : table(["NAME", "DIGEST", "LAYERS", "SIZE", "CREATED"], rows),
    };
  },
};
