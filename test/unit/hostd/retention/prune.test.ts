import { expect, test } from "vitest";
import type { Engine } from "../../../../hostd/engine.ts";
import { type Journal, openJournal } from "../../../../hostd/journal/journal.ts";
import { prune } from "../../../../hostd/retention/prune.ts";
import { type Digest, digestFromHex } from "../../../../manifests/digest.ts";

const [NEW, MIDDLE, OLD] = ["a", "b", "c"].map((digit) => digestFromHex(digit.repeat(64))) as [Digest, Digest, Digest];
const manifest = JSON.stringify({
  schemaVersion: 2,
  config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: NEW, size: 1 },
  layers: [],
});
const config = JSON.stringify({
  architecture: "amd64",
  os: "linux",
  config: {},
  rootfs: { type: "layers", diff_ids: [] },
});

/** Three staged versions of `shop`; `during` is what others do while the slot of an image is unmounted. */
function engineOf(during: (journal: Journal, image: Digest) => void) {
  const journal = openJournal(":memory:", () => new Date(0));
  for (const image of [OLD, MIDDLE, NEW]) {
    const { id } = journal.operations.begin({ requestId: image, kind: "stage", app: "shop", caller: "test", plan: {} });
    const about = { sequence: id, version: `${id}.0.0`, channel: "production", declared: {} };
    journal.slots.stage(id, { app: "shop", image, ...about, manifest, config });
    journal.operations.finish(id);
  }
  const node = {
    unmountSlot: async (_app: string, image: Digest) => during(journal, image),
    layers: async () => [],
    removeGeneration: async () => {},
  };
  const engine = { journal, node, vault: { keepOnly: async () => {} }, host: undefined };
  const { id } = journal.operations.begin({ requestId: "p", kind: "stage", app: "shop", caller: "test", plan: {} });
  const images = () => journal.slots.list("shop").map(({ image }) => image);
  return { engine: engine as unknown as Engine, id, images };
}

const begin = (journal: Journal, image: Digest) =>
  journal.operations.begin({ requestId: "a", kind: "activate", app: "shop", caller: "test", plan: { image } }).id;

test.each<[string, (journal: Journal) => void]>([
  ["was pinned", (journal) => journal.slots.pin("shop", OLD, "the way back")],
  ["an activation chose", (journal) => begin(journal, OLD)],
  ["went on trial", (journal) => journal.slots.move(begin(journal, OLD), "shop", OLD, "try")],
])("prune: a version that %s while it was unmounted stays, and is not told as collected", async (_, happens) => {
  const { engine, id, images } = engineOf((journal, image) => {
    if (image === OLD) happens(journal);
  });
  expect(await prune(engine, id, "shop", { keep: 1 })).toEqual([MIDDLE]);
  expect(images()).toEqual([NEW, OLD]);
});

test("prune: what nobody keeps goes, newest first", async () => {
  const { engine, id, images } = engineOf(() => {});
  expect(await prune(engine, id, "shop", { keep: 1 })).toEqual([MIDDLE, OLD]);
  expect(images()).toEqual([NEW]);
});
