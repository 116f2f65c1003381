import { expect, test } from "vitest";
import { PATIENCE, type VersionOptions } from "../../hostd/publisher.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { processesOf } from "../../hostd/whole.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "a start-first switch", () => {
  test("runs both versions until the new one is proven, then stops the old one; no snapshot is taken of what both write", () =>
    withRig(async (rig) => {
      await live(rig, "1.0.0");
      await rig.publish({ version: named(rig, "1.1.0"), startFirst: true, stable: 3_000 });
      const begun = await rig.client.begin("shop", "deploy", {});
      const answers = new Set<string>();
      await eventually(
        async () => answers.add(await rig.get("/version")),
        ({ size }) => size === 2,
      );
      expect(processesOf(rig)).toHaveLength(2);
      expect([...answers].sort()).toEqual([named(rig, "1.0.0"), named(rig, "1.1.0")]);
      await rig.record();
      const ended = await rig.client.wait(begun, () => {}, AbortSignal.timeout(30_000));
      expect(ended).toMatchObject({ state: "done", from: 1, to: 2 });
      expect(processesOf(rig)).toEqual([named(rig, "1.1.0")]);
      expect((await rig.client.app("shop")).snapshots).toEqual([]);
      const told = ended.steps.flatMap(({ name, detail }) => (/^(room|snapshot)$/.test(name) ? [detail] : []));
      expect(told).toEqual(Array(2).fill("none: two versions write the data"));
      expect(await rig.records()).toHaveLength(1);
    }));

  test("that cannot be proven leaves the old version as it was: the same process, never stopped", () =>
    withRig(async (rig) => {
      await live(rig, "1.0.0");
      const { process: before } = await rig.client.app("shop");
      for (const how of ["sick", "crash"] as const) {
        await rig.publish({ version: named(rig, `1.1.0-${how}`), how, startFirst: true, within: 600 });
        expect(await rig.operate("deploy")).toMatchObject({
          state: "failed",
          reverted: true,
          reason: { code: "unhealthy" },
          afterwards: { healthy: true },
        });
        const { process, current } = await rig.client.app("shop");
        expect({ how, process, number: current?.number }).toEqual({ how, process: before, number: 1 });
        expect(processesOf(rig)).toEqual([named(rig, "1.0.0")]);
      }
    }));

  test("is taken back where the new version is good beside the old one and no good alone", () =>
    withRig(async (rig) => {
      await live(rig, "1.0.0");
      await rig.publish({ version: named(rig, "1.1.0"), how: "half", startFirst: true, within: 3_000 });
      const failed = await rig.operate("deploy");
      expect(failed).toMatchObject({
        state: "failed",
        reverted: true,
        reason: { message: expect.stringContaining("503") },
      });
      expect(await rig.get("/version")).toBe(named(rig, "1.0.0"));
      expect(processesOf(rig)).toEqual([named(rig, "1.0.0")]);
    }));

  test("stops the old version first where one of both does not allow it, or the data is migrated, and says why", () =>
    withRig(async (rig) => {
      await live(rig, "1.0.0", { startFirst: false });
      await rig.publish({ version: named(rig, "1.1.0"), startFirst: true });
      const first = await rig.operate("deploy");
      expect(first.notes).toContain("the old version stops first: the version that runs does not say start-first");
      await rig.publish({
        version: named(rig, "2.0.0"),
        startFirst: true,
        format: 2,
        reads: ">=1 <3",
        migrate: "good",
      });
      const second = await rig.operate("deploy");
      expect(second.notes).toContain("the old version stops first: the data is migrated from format 1 to 2");
      expect(await rig.get("/format")).toBe("2");
    }));

  test("loses no request over ten switches and rollbacks under load", () =>
    withRig(async (rig) => {
      await live(rig, "1.0.0", { timeout: PATIENCE });
      await rig.publish({ version: named(rig, "1.1.0"), startFirst: true, timeout: PATIENCE });
      let ending = false;
      const acknowledged: string[] = [];
      const failed: string[] = [];
      const clients = [1, 2, 3, 4].map(async () => {
        while (!ending) {
          await rig.acknowledge().then(
            (record) => acknowledged.push(record),
            (error) => failed.push(String(error.cause ?? error)),
          );
        }
      });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      for (let n = 0; n < 9; n++) {
        const { slots, current } = await rig.client.app("shop");
        const other = slots.find(({ image }) => image !== current?.image)?.image ?? "";
        expect(await rig.operate("activate", { image: other })).toMatchObject({ state: "done", to: 3 + n });
      }
      ending = true;
      await Promise.all(clients);
      expect(failed).toEqual([]);
      expect((await rig.records()).sort()).toEqual(acknowledged.sort());
    }));
});

function named(rig: Rig, version: string): string {
  return `${version}-${rig.port}`;
}

async function live(rig: Rig, version: string, options: Partial<VersionOptions> = {}): Promise<void> {
  await rig.publish({ startFirst: true, ...options, version: named(rig, version) });
  await rig.start();
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
}
