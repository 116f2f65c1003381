import { readdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { blobPath } from "../../../hostd/stage/blob.ts";
import { hexOf } from "../../../manifests/digest.ts";
import { type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

/** Megabytes of a layer, packed or laid down, and those free: room for one of the two, not for both. */
const LAYER = 30;
const FREE = 55;

describeWith(NEEDS, "a staging has room", () => {
  test("to go on with a blob that a cut one left nearly whole", () =>
    withRig(
      async (rig) => {
        const { layers } = await rig.publish({ version: "1.0.0", noise: LAYER });
        await rig.start();
        const digest = layers[1]?.digest ?? "sha256:";
        const blob = readFileSync(join(rig.publisher.directory, blobPath(digest)));
        leaveFree(rig, FREE + LAYER);
        writeFileSync(join(rig.state, "parts", hexOf(digest)), blob.subarray(0, -1_000));
        expect(await rig.operate("stage")).toMatchObject({ state: "done" });
        expect(readdirSync(join(rig.state, "parts"))).toEqual([]);
      },
      { disk: "ext4" },
    ));

  test("for a layer whose blob is read where it is", () =>
    withRig(
      async (rig) => {
        await rig.publish({ version: "1.0.0", noise: LAYER });
        await rig.start({ repository: rig.publisher.directory });
        leaveFree(rig, FREE);
        expect(await rig.operate("stage")).toMatchObject({ state: "done" });
      },
      { disk: "ext4" },
    ));

  test("that parts of a version which nobody fetches any more took", () =>
    withRig(
      async (rig) => {
        await rig.publish({ version: "1.0.0", noise: LAYER });
        await rig.start();
        leaveFree(rig, FREE, join("parts", "0".repeat(64)));
        expect(await rig.operate("stage")).toMatchObject({ state: "done" });
        expect(readdirSync(join(rig.state, "parts"))).toEqual([]);
      },
      { disk: "ext4" },
    ));
});

/** Takes all of the disk but so many megabytes. */
function leaveFree({ state }: Rig, megabytes: number, name = "filler"): void {
  const { bsize, bavail } = statfsSync(state);
  writeFileSync(join(state, name), Buffer.alloc(bsize * bavail - megabytes * 1_000_000, 1));
}
