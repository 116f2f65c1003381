import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { planPrune, removeUnusedLayers } from "../../../hostd/retention/prune.ts";
import { digestFromHex } from "../../../manifests/digest.ts";
import { LAYER_ANNOTATIONS, MEDIA_TYPES } from "../../../manifests/image.ts";
import { withEngine } from "../../hostd/in-process.ts";
import { type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

describeWith({ root: true, programs: ["bwrap", "perl", "losetup"] }, "pruning beside other operations", () => {
  test("takes no version that one under way is about to switch to", () =>
    withRig(async (rig) => {
      const { image } = await deploy(rig, ["1.0.0", "1.1.0", "1.2.0", "1.3.0"]);
      await withEngine(rig, async ({ engine }) => {
        engine.submit.rollback({ app: "shop", by: "test", to: image });
        const { collected } = await planPrune(engine, 1);
        expect(collected.map(({ version }) => version)).toEqual(["1.1.0"]);
        await engine.submit.settled();
        expect(engine.journal.operations.list({ app: "shop", limit: 1 })).toMatchObject([{ state: "done" }]);
      });
    }));

  test.each([
    ["another one was removed", 1],
    ["it was unmounted itself", 0],
  ])("leaves a layer that a staging found there which began while %s", (_, removed) =>
    withRig(async (rig) => {
      await deploy(rig, ["1.0.0"]);
      await withEngine(rig, async ({ engine }) => {
        const roots = ["a", "b"].map((digit) => digit.repeat(64)).slice(0, 1 + removed);
        const fileOf = (root: string) => join(rig.state, "layers", `${root}.erofs`);
        for (const root of roots) writeFileSync(fileOf(root), "");
        const { removeLayer } = engine.node;
        engine.node.removeLayer = (root, isUnused) => {
          const [other = root] = roots.filter((one) => one !== root);
          const plan = { stage: { channel: "production", found: foundWith(other) } };
          engine.journal.operations.begin({ requestId: root, kind: "stage", app: "mail", caller: "test", plan });
          return removeLayer(root, isUnused);
        };
        expect(await removeUnusedLayers(engine)).toHaveLength(removed);
        expect(roots.filter((root) => existsSync(fileOf(root)))).toHaveLength(1);
        for (const { id } of engine.journal.operations.unfinished()) engine.journal.operations.finish(id);
      });
    }),
  );
});

/** What a staging found out about an image of one layer. */
function foundWith(root: string) {
  const [digest, config] = ["c", "d"].map((digit) => digestFromHex(digit.repeat(64)));
  const annotations = {
    [LAYER_ANNOTATIONS.verityRoot]: root,
    [LAYER_ANNOTATIONS.erofsSize]: "4096",
    [LAYER_ANNOTATIONS.erofsFormat]: "1",
  };
  const layers = [{ mediaType: MEDIA_TYPES.layerZstd, digest, size: 1, annotations }];
  const manifest = { schemaVersion: 2, config: { mediaType: MEDIA_TYPES.config, digest: config, size: 1 }, layers };
  return { image: digest, sequence: 1, version: "1.0.0", declared: {}, manifest: JSON.stringify(manifest), config: "" };
}

/** Deploys versions one after the other on a node whose hostd then ends; answers the first. */
async function deploy(rig: Rig, versions: readonly string[]) {
  await rig.start({ options: ["--keep", "9"] });
  const published = [];
  for (const version of versions) {
    published.push(await rig.publish({ version, stable: 100 }));
    expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
  }
  await rig.stop();
  const [first] = published;
  if (first === undefined) throw new Error("expected a version");
  return first;
}
