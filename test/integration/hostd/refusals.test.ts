import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hexOf } from "../../../manifests/digest.ts";
import { verityOf } from "../../../manifests/image.ts";
import type { VersionOptions } from "../../hostd/publisher.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "what hostd refuses, while the running version goes on", () => {
  test("images that nobody marked, that are red, or that a wrong key built or tested, before a layer is fetched", () =>
    withRig(async (rig) => {
      await live(rig);
      const forged: [Partial<VersionOptions>, RegExp][] = [
        [{ unmarked: true }, /green/],
        [{ red: true }, /green/],
        [{ wrongTester: true }, /green/],
        [{ wrongBuilder: true }, /built|provenance/],
      ];
      for (const [index, [wrong, message]] of forged.entries()) {
        const { layers } = await rig.publish({ version: `1.1.${index}`, ...wrong });
        const refused = await rig.operate("deploy");
        expect(refused).toMatchObject({ state: "failed", reason: { outcome: "refused", code: "not-allowed" } });
        expect(refused.reason?.message).toMatch(message);
        expect(refused.reason?.hint).not.toBe("");
        expect(await laidDown(rig, layers[1])).toBe(false);
      }
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test("a release below one accepted before, a revoked image, and a release document with one byte changed", () =>
    withRig(async (rig) => {
      const { image } = await live(rig, { sequence: 5 });
      await rig.publisher.revoke(image);
      expect((await rig.operate("stage")).reason).toMatchObject({ outcome: "refused", message: /revoked/ });
      expect(await rig.get("/version")).toBe("1.0.0");

      await rig.publish({ version: "1.1.0", sequence: 6 });
      const targets = join(rig.publisher.directory, "targets/production");
      for (const name of readdirSync(targets)) flip(join(targets, name), 40);
      const tampered = await rig.operate("stage");
      expect(tampered).toMatchObject({ state: "failed" });
      expect(tampered.reason?.message).toMatch(/shop\.json|production/);
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test("a layer blob and a statement with one byte changed, naming which; nothing of them is left", () =>
    withRig(async (rig) => {
      await live(rig);
      const damaged = await rig.publish({ version: "1.1.0" });
      const digest = damaged.layers[1]?.digest ?? "sha256:";
      flip(join(rig.publisher.directory, "oci/blobs/sha256", hexOf(digest as `sha256:${string}`)), 200);
      const refused = await rig.operate("deploy");
      expect(refused.reason).toMatchObject({ code: "blob-digest", message: expect.stringContaining(digest) });
      expect(readdirSync(join(rig.state, "parts"))).toEqual([]);

      const unproven = await rig.publish({ version: "1.2.0" });
      const statements = join(rig.publisher.directory, "statements", `${hexOf(unproven.image)}.intoto.jsonl`);
      flip(statements, 120);
      expect((await rig.operate("deploy")).reason).toMatchObject({ outcome: "refused" });
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test("a laid-down layer with one byte changed, naming file and block; the running version goes on, and what the hint names mends it", () =>
    withRig(async (rig) => {
      const before = await live(rig);
      const { layers } = await rig.publish({ version: "1.1.0" });
      expect(await rig.operate("stage")).toMatchObject({ state: "done" });
      const [, layer] = layers;
      if (layer === undefined) throw new Error("expected two layers");
      const file = join(rig.state, "layers", `${verityOf(layer).root}.erofs`);
      flip(file, 4100);
      const refused = await rig.operate("activate");
      expect(refused).toMatchObject({ state: "failed", reverted: true });
      expect(refused.reason?.message).toContain(file);
      expect(refused.reason?.message).toMatch(/block 1\b/);
      expect(refused.reason?.hint).toMatch(/^hostd fsck --repair /);
      expect(await rig.get("/version")).toBe("1.0.0");
      expect((await rig.client.status()).quarantine).toEqual([]);
      expect((await rig.client.fsck(true)).damaged).toMatchObject([{ repaired: true }]);
      expect(await rig.operate("activate")).toMatchObject({ state: "done" });
      expect(await rig.get("/version")).toBe("1.1.0");

      const older = verityOf(before.layers[1] ?? layer);
      rmSync(join(rig.state, "layers", `${older.root}.erofs`));
      const back = await rig.operate("rollback");
      expect(back).toMatchObject({ state: "failed", reason: { hint: expect.stringMatching(/^hostd fsck --repair /) } });
      expect((await rig.client.fsck(true)).damaged).toMatchObject([{ repaired: true }]);
      expect(await rig.operate("rollback")).toMatchObject({ state: "done", version: "1.0.0" });
    }));

  test("new versions while the repository cannot be reached; a rollback needs none", () =>
    withRig(async (rig) => {
      await live(rig);
      await rig.publish({ version: "1.1.0" });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.kill();
      await rig.start({ repository: join(rig.directory, "nowhere") });
      expect((await rig.operate("deploy")).reason).toMatchObject({ outcome: "refused", code: "not-fresh" });
      expect(await rig.operate("rollback")).toMatchObject({ state: "done", version: "1.0.0" });
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test("a second change of a busy app, naming the one under way; a repeated request begins nothing", () =>
    withRig(async (rig) => {
      await live(rig);
      await rig.publish({ version: "1.1.0", stable: 1_500 });
      await rig.operate("stage");
      const first = await rig.client.begin("shop", "activate", { requestId: "night-1" });
      const repeated = await rig.client.begin("shop", "activate", { requestId: "night-1" });
      expect(repeated.id).toBe(first.id);
      await expect(rig.client.begin("shop", "rollback", {})).rejects.toMatchObject({
        outcome: "busy",
        details: { operation: first.id },
      });
      expect((await rig.client.app("shop")).operations).toEqual([first.id]);
      expect(await rig.client.wait(first, () => {}, AbortSignal.timeout(20_000))).toMatchObject({ state: "done" });
      expect((await rig.client.begin("shop", "activate", { requestId: "night-1" })).id).toBe(first.id);
      await expect(rig.client.begin("shop", "rollback", { requestId: "night-1" })).rejects.toThrow(
        `request id night-1: expected operation ${first.id}, activate shop, got rollback shop`,
      );
    }));

  test("what would not leave the reserve free, before a layer is fetched", () =>
    withRig(async (rig) => {
      await live(rig);
      await rig.kill();
      await rig.start({ reserve: 1e12 });
      const { layers } = await rig.publish({ version: "1.1.0" });
      expect((await rig.operate("deploy")).reason).toMatchObject({
        outcome: "refused",
        code: "no-space",
        message: expect.stringContaining(rig.state),
      });
      expect(await laidDown(rig, layers[1])).toBe(false);
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test("an operation that is aborted is undone, and the version may be tried again", () =>
    withRig(async (rig) => {
      await live(rig);
      await rig.publish({ version: "1.1.0", stable: 20_000 });
      await rig.operate("stage");
      const begun = await rig.client.begin("shop", "activate", {});
      await eventually(
        () => rig.get("/version"),
        (version) => version === "1.1.0",
      );
      await rig.client.abort(begun.id);
      const ended = await rig.client.wait(begun, () => {}, AbortSignal.timeout(20_000));
      expect(ended).toMatchObject({ state: "failed", reverted: true, reason: { code: "aborted" } });
      expect(await rig.get("/version")).toBe("1.0.0");
      expect((await rig.client.app("shop")).slots[0]).toMatchObject({ version: "1.1.0", state: "staged" });
    }));
});

async function live(rig: Rig, options: { sequence?: number } = {}) {
  const published = await rig.publish({ version: "1.0.0", ...options });
  await rig.start();
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
  return published;
}

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

async function laidDown(rig: Rig, layer: Parameters<typeof verityOf>[0] | undefined): Promise<boolean> {
  if (layer === undefined) throw new Error("expected a layer");
  return readdirSync(join(rig.state, "layers")).includes(`${verityOf(layer).root}.erofs`);
}
