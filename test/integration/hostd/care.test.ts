import { openSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { verityOf } from "../../../manifests/image.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";

const layersOf = (rig: Rig) => readdirSync(join(rig.state, "layers")).filter((name) => name.endsWith(".erofs"));

/** Changes one byte in the middle of a file and sets its times back, as a failing disk does. */
function damage(path: string): number {
  const { size, atime, mtime } = statSync(path);
  const block = Math.floor(size / 2 / 4096);
  writeSync(openSync(path, "r+"), "!", block * 4096 + 17);
  utimesSync(path, atime, mtime);
  return block;
}

test("fsck names the file and block that is bad, and repairs that layer alone, also when the app runs on it", () =>
  withRig(async (rig) => {
    await rig.start();
    const { layers } = await rig.publish({ version: "1.0.0" });
    expect((await rig.operate("deploy")).state).toBe("done");
    expect(await rig.client.fsck(false)).toMatchObject({ layers: 2, damaged: [] });

    const files = layers.map((layer) => join(rig.state, `layers/${verityOf(layer).root}.erofs`));
    const [base = "", deploy = ""] = files;
    const before = statSync(deploy).ino;
    damage(base);
    const found = await rig.client.fsck(false);
    expect(found.damaged).toMatchObject([{ slots: ["shop 1.0.0"], repaired: false }]);
    expect(found.damaged[0]?.message).toMatch(
      /\.erofs: expected the signed bytes in data block \d+ at byte offset \d+/,
    );
    expect((await rig.client.status()).scrub?.damaged.length).toBe(1);

    expect((await rig.client.fsck(true)).damaged).toMatchObject([{ repaired: true }]);
    expect(statSync(deploy).ino).toBe(before);
    expect(await rig.client.fsck(false)).toMatchObject({ damaged: [] });
    await rig.publish({ version: "1.1.0" });
    expect((await rig.operate("deploy")).state).toBe("done");
    expect(await rig.get("/")).toBe("1.1.0");
  }));

test("fsck finds a layer that is gone, and says why it cannot be repaired when the repository is gone too", () =>
  withRig(async (rig) => {
    await rig.start();
    const { layers } = await rig.publish({ version: "1.0.0" });
    await rig.operate("stage");
    const [base] = layers;
    if (base === undefined) throw new Error("expected layers");
    rmSync(join(rig.state, `layers/${verityOf(base).root}.erofs`));
    const blob = join(rig.publisher.directory, "oci/blobs/sha256", base.digest.slice("sha256:".length));
    rmSync(blob);
    const [gone] = (await rig.client.fsck(true)).damaged;
    expect(gone).toMatchObject({ repaired: false, reason: expect.stringContaining("expected a blob at") });
  }));

test("a layer that was found bad is told as such, across new starts of hostd, until it is staged again", () =>
  withRig(async (rig) => {
    await rig.start();
    const { layers } = await rig.publish({ version: "1.0.0" });
    await rig.operate("stage");
    const [root = ""] = layers.map((layer) => verityOf(layer).root);
    damage(join(rig.state, `layers/${root}.erofs`));
    await rig.client.fsck(false);
    expect((await rig.client.status()).scrub?.damaged).toMatchObject([{ what: root, repaired: false }]);
    await rig.kill();
    await rig.start();
    expect((await rig.client.status()).scrub?.damaged).toMatchObject([{ what: root, repaired: false }]);
    expect(await rig.client.metrics()).toMatch(/^hostd_damaged_layers 1$/m);
    expect((await rig.operate("stage")).state).toBe("done");
    expect((await rig.client.status()).scrub?.damaged).toEqual([]);
    await rig.stop();
    await rig.start();
    expect((await rig.client.status()).scrub).toMatchObject({ layers: 2, damaged: [] });
    await rig.stop();
    writeFileSync(join(rig.state, "scrub.json"), '{"schema":1');
    await rig.start();
    expect((await rig.client.status()).scrub).toBeUndefined();
    expect(await rig.client.fsck(false)).toMatchObject({ damaged: [] });
  }));

test("prune takes what retention does not protect, and a dry run takes nothing but says the same", () =>
  withRig(async (rig) => {
    await rig.start();
    for (const version of ["1.0.0", "1.1.0", "1.2.0"]) {
      await rig.publish({ version });
      expect((await rig.operate("deploy")).state).toBe("done");
    }
    const plan = await rig.client.planPrune("1");
    expect(plan.collected.map(({ version }) => version)).toEqual(["1.0.0"]); // the newest runs, the one before is the way back
    expect(plan.layers.length).toBe(1);
    expect(layersOf(rig).length).toBe(4);
    expect((await rig.operate("prune", { keep: 1 })).state).toBe("done");
    expect(layersOf(rig).length).toBe(3);
    expect((await rig.client.app("shop")).slots.map(({ version }) => version)).toEqual(["1.2.0", "1.1.0"]);
    expect((await rig.operate("rollback")).state).toBe("done");
    expect((await rig.client.planPrune("1")).collected).toEqual([]);
  }));

test("a rate of the request's own holds a staging back, and its progress shows it", () =>
  withRig(async (rig) => {
    await rig.start();
    const { layers } = await rig.publish({ version: "1.0.0" });
    const size = layers.reduce((sum, layer) => sum + layer.size, 0);
    const begun = await rig.client.begin("shop", "stage", { rate: String(Math.ceil(size / 2)) });
    const seen = await eventually(
      () => rig.client.operation(begun.id),
      ({ progress }) => /^fetch [\d.]+ [kM]?B of [\d.]+ [kM]?B$/.test(progress?.text ?? ""),
    );
    expect(seen.state).toBe("running");
    const ended = await rig.client.wait(begun, () => {}, AbortSignal.timeout(30_000));
    expect(ended.state).toBe("done");
    expect(Date.parse(ended.finished ?? "") - Date.parse(ended.started)).toBeGreaterThan(1_500);
  }));
