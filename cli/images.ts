import { join } from "node:path";
import { openSource } from "../effects/source.ts";
import { TrustError } from "../keys/error.ts";
import { type Digest, shortDigest } from "../manifests/digest.ts";
import { bytes, table } from "../terminal/table.ts";
import type { Verb } from "../terminal/verb.ts";
import { homeOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "images",
  summary: "list the images of the store: digest, layers, size, and the newest mark that counts",
  arguments: [{ name: "[name]", summary: "only images of this name" }],
  examples: ["ostler images", "ostler images shop --json"],
  async run({ arguments: [name], options }) {
    const [{ openStore }, { loadImage }] = await Promise.all([
      import("../images/store.ts"),
      import("../images/image.ts"),
    ]);
    const home = homeOption(options);
    const store = await openStore(join(home.directory, "store"));
    const tags = (await store.tags()).filter((tag) => name === undefined || tag.name.split(":")[0] === name);
    const markOf = await openMarks(home);
    const images = await Promise.all(
      tags.map(async ({ name, descriptor }) => {
        const { manifest, config } = await loadImage(store, descriptor.digest);
        const layers = manifest.layers.map(({ digest, size, annotations }) => ({ digest, size, annotations }));
        const size = layers.reduce((sum, layer) => sum + layer.size, 0);
        const mark = await markOf(descriptor.digest);
        return { name, digest: descriptor.digest, layers, size, created: config.created, ...mark };
      }),
    );
    images.sort((a, b) => (a.name < b.name ? -1 : 1));
    const rows = images.map(({ name, digest, layers, size, created, mark }) => {
      return [name, shortDigest(digest), String(layers.length), bytes(size), created ?? "", mark ?? ""];
    });
    return {
      json: { schema: 1, images },
      text:
        rows.length === 0
          ? "no images: ostler build RECIPE makes one"
          : table(["NAME", "DIGEST", "LAYERS", "SIZE", "CREATED", "MARK"], rows),
    };
  },
};

type Mark = { mark?: "green" | "red" | "revoked" | "none" };

/** What testers whose keys the policy names said last of an image, or that it is revoked; nothing where this home trusts no repository. */
async function openMarks(home: ReturnType<typeof homeOption>): Promise<(image: Digest) => Promise<Mark>> {
  const [{ openTrust }, { readEnvelopes }, { latestMark }] = await Promise.all([
    import("../keys/trust.ts"),
    import("../keys/envelopes.ts"),
    import("../keys/judge.ts"),
  ]);
  const source = openSource(home.repository);
  const trust = await openTrust({ source, directory: home.trust, now: () => new Date() }).catch((error: unknown) => {
    if (error instanceof TrustError && ["not-seeded", "metadata-missing"].includes(error.code)) return undefined;
    throw error;
  });
  const statements = openSource(join(home.directory, "store"));
  return async (image) => {
    if (trust === undefined) return {};
    if (trust.policy.revoked.some(({ digest }) => digest === image)) return { mark: "revoked" };
    return { mark: latestMark(trust.policy, image, await readEnvelopes(statements, image)) ?? "none" };
  };
}
