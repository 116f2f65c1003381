import { expect, test } from "vitest";
import { openCare } from "../../../../hostd/care/care.ts";
import { checkLayers } from "../../../../hostd/care/fsck.ts";
import type { KeptScrub } from "../../../../hostd/care/kept-scrub.ts";
import type { Engine } from "../../../../hostd/engine.ts";
import { layBlob } from "../../../../hostd/stage/bring.ts";
import { createTurnsByKey } from "../../../../hostd/stage/turns.ts";
import { digestFromHex } from "../../../../manifests/digest.ts";
import { LAYER_ANNOTATIONS, type LayerVerity } from "../../../../manifests/image.ts";

const KEPT = "a".repeat(64);
const OTHER = "b".repeat(64);

/** A version of one layer, of one block. */
function slotOf(version: string, root: string) {
  const annotations = {
    [LAYER_ANNOTATIONS.verityRoot]: root,
    [LAYER_ANNOTATIONS.erofsSize]: "4096",
    [LAYER_ANNOTATIONS.erofsFormat]: "1",
  };
  const layer = { mediaType: "", digest: digestFromHex(root), size: 1, annotations };
  return { app: "shop", version, manifest: { layers: [layer] }, config: { rootfs: { diff_ids: [layer.digest] } } };
}

type Slot = ReturnType<typeof slotOf>;

type Wait = (bytes: number) => Promise<void>;

/** Two versions, of which the layer of the second cannot be read; `onRead` is called at each read. */
function engineOf(onRead: (slots: Slot[], root: string, wait: Wait) => unknown) {
  const slots = [slotOf("2.0.0", KEPT), slotOf("1.0.0", OTHER)];
  const told: string[] = [];
  const closing = new AbortController();
  const engine = {
    clock: { date: () => new Date(0), sleep: () => new Promise(() => {}) },
    settings: { care: { every: 1 } },
    source: { fileOf: (path: string) => path },
    layerTurns: createTurnsByKey(),
    closing: closing.signal,
    journal: {
      apps: { list: () => [{ app: "shop" }] },
      slots: { list: () => slots },
      events: { append: (kind: string) => told.push(kind) },
    },
    node: {
      async scrubLayer({ root }: LayerVerity, wait: Wait) {
        await onRead(slots, root, wait);
        if (root === OTHER) throw new Error("no file");
      },
      layDownLayer: async () => {},
    },
    log: () => {},
  };
  return { engine: engine as unknown as Engine, slots, told, closing };
}

/** Care of that node; `start` is that of the next hostd, with what this one kept. */
function careOf(onRead: (slots: Slot[], root: string) => unknown = () => {}) {
  const { engine, slots } = engineOf(onRead);
  const kept: KeptScrub = {
    last: undefined,
    async keep(scrub) {
      kept.last = structuredClone(scrub);
    },
  };
  const start = () => {
    const care = openCare(() => engine, kept);
    Object.assign(engine, { care });
    return care;
  };
  return { engine, slots, care: start(), start };
}

/** Lays down the one layer of a version, as a staging does. */
async function lay(engine: Engine, { manifest: { layers } }: Slot): Promise<void> {
  const [layer] = layers;
  if (layer === undefined) throw new Error("expected a layer");
  await layBlob(engine, { layer, signal: engine.closing });
}

test("a layer that the journal knows and that is not there is damage", async () => {
  const { engine, told } = engineOf(() => {});
  const found = await checkLayers(engine, { repair: false });
  const damage = { what: OTHER, message: "no file", repaired: false, slots: ["shop 1.0.0"] };
  expect(found).toMatchObject({ layers: 2, bytes: 8192, damaged: [damage] });
  expect(told).toEqual(["layer.damaged"]);
});

test("a layer whose last version was collected while layers were read is no damage, and does not count", async () => {
  const { engine, told } = engineOf((slots) => slots.splice(1));
  expect(await checkLayers(engine, { repair: false })).toMatchObject({ layers: 1, bytes: 4096, damaged: [] });
  expect(told).toEqual([]);
});

test.each([
  ["at full speed", undefined],
  ["at a pace", async () => {}],
])("hostd does not read on %s when it is asked to end, and what it did not read is no damage", async (_, pace) => {
  let pieces = 0;
  const { engine, told, closing } = engineOf(async (_slots, _root, wait) => {
    closing.abort();
    for (; pieces < 1_000; pieces++) await wait(1);
  });
  const checked = checkLayers(engine, { repair: false, ...(pace === undefined ? {} : { pace }) });
  await expect(checked).rejects.toMatchObject({ code: "interrupted" });
  expect(pieces).toBe(0);
  expect(told).toEqual([]);
});

const BAD = { layers: 2, damaged: [{ what: OTHER, repaired: false }] };

test("a report of damage stands until the layer is no version's any more", async () => {
  const { care, slots } = careOf();
  await care.check({ repair: false });
  expect(care.lastScrub()).toMatchObject(BAD);
  slots.splice(1);
  expect(care.lastScrub()).toMatchObject({ layers: 2, damaged: [] });
});

test("a report of damage stands until that layer was laid down anew, and not another one", async () => {
  const { engine, care } = careOf();
  await care.check({ repair: false });
  await lay(engine, slotOf("2.0.0", KEPT));
  expect(care.lastScrub()).toMatchObject(BAD);
  await lay(engine, slotOf("1.0.0", OTHER));
  expect(care.lastScrub()).toMatchObject({ layers: 2, damaged: [] });
});

test("a report of damage stands across new starts of hostd, until that layer was laid down anew", async () => {
  const { engine, care, start } = careOf();
  await care.check({ repair: false });
  await care.close();
  expect(start().lastScrub()).toEqual(care.lastScrub());
  expect(start().lastScrub()).toMatchObject(BAD);
  await lay(engine, slotOf("1.0.0", OTHER));
  await engine.care.close();
  expect(start().lastScrub()).toMatchObject({ layers: 2, damaged: [] });
});

test("what the disk did not take of a report is told all the same", async () => {
  const { engine } = engineOf(() => {});
  const keep = () => Promise.reject(new Error("no space left on device"));
  const care = openCare(() => engine, { last: undefined, keep });
  expect(await care.check({ repair: false })).toMatchObject(BAD);
  expect(care.lastScrub()).toMatchObject(BAD);
});

test.each([
  ["after it was found bad, is no damage", [OTHER, KEPT], []],
  ["before it was found bad, is damage", [KEPT, OTHER], BAD.damaged],
] as const)("a layer that was laid down anew while layers were read, %s", async (_, order, damaged) => {
  const anew = slotOf("1.0.0", OTHER);
  const { engine, slots, care } = careOf((_slots, root) => (root === KEPT ? lay(engine, anew) : undefined));
  if (order[0] === OTHER) slots.reverse();
  expect(await care.check({ repair: false })).toMatchObject({ damaged });
  expect(care.lastScrub()).toMatchObject({ damaged });
});

test("a layer that was found bad again is damage, although it was laid down anew before", async () => {
  const { engine, care } = careOf();
  await care.check({ repair: false });
  await lay(engine, slotOf("1.0.0", OTHER));
  await care.check({ repair: false });
  expect(care.lastScrub()).toMatchObject(BAD);
});
