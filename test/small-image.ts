import { openStore } from "../images/store.ts";
import type { Envelope } from "../keys/dsse.ts";
import type { Signer } from "../keys/signer.ts";
import { type BuildFacts, provenanceStatement, signStatement, testResultStatement } from "../keys/statements.ts";
import { APP_LABEL } from "../manifests/app.ts";
import { type Digest, digestFromHex } from "../manifests/digest.ts";
import { type Descriptor, MEDIA_TYPES } from "../manifests/image.ts";

const SOME_DIGEST = digestFromHex("d".repeat(64));

/** An image with one small layer, whose content makes its digest, in a store under `NAME:latest`; of the app of that name, of another, or of none where that is "". */
export async function storeSmallImage(
  directory: string,
  name: string,
  content: string,
  app = name,
): Promise<Descriptor> {
  const store = await openStore(directory);
  const layer = await store.write(Buffer.from(content));
  const config = await store.write(
    Buffer.from(
      JSON.stringify({
        architecture: "amd64",
        os: "linux",
        config: { Labels: app === "" ? {} : { [APP_LABEL]: JSON.stringify({ schema: 1, name: app }) } },
        rootfs: { type: "layers", diff_ids: [layer.digest] },
      }),
    ),
  );
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: { mediaType: MEDIA_TYPES.config, ...config },
    layers: [{ mediaType: MEDIA_TYPES.layerZstd, ...layer }],
  };
  const manifest = await store.write(Buffer.from(JSON.stringify(document)));
  const descriptor: Descriptor = { mediaType: MEDIA_TYPES.manifest, ...manifest };
  await store.tag(`${name}:latest`, descriptor);
  return descriptor;
}

/** Signed provenance of an image, from a committed, clean tree unless said otherwise. */
export function provenanceOf(image: Digest, signer: Signer, change: Partial<BuildFacts> = {}): Envelope {
  const facts: BuildFacts = {
    name: "shop",
    recipe: { name: "shop.recipe", digest: SOME_DIGEST },
    commit: "c".repeat(40),
    clean: true,
    bases: { "debian:bookworm": SOME_DIGEST },
    formatVersion: 1,
    epoch: 0,
    network: [],
    builderVersion: "0.1.0",
    startedOn: new Date(0),
    finishedOn: new Date(1000),
    ...change,
  };
  return signStatement(provenanceStatement(image, facts), signer);
}

/** A signed test result of an image: green unless a test failed. */
export function markOf(
  image: Digest,
  signer: Signer,
  change: { suites?: string[]; passed?: string[]; failed?: string[] } = {},
): Envelope {
  const suites = (change.suites ?? ["shop"]).map((name) => ({ name, digest: SOME_DIGEST }));
  const facts = { name: "shop", suites, passed: change.passed ?? ["it runs"], failed: change.failed ?? [] };
  return signStatement(testResultStatement(image, facts), signer);
}
