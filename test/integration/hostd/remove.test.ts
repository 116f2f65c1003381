import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { OPERATIONS } from "../../../hostd/states.ts";
import { crash, restartAndWait, versionOf } from "../../hostd/crash.ts";
import { withEngine } from "../../hostd/in-process.ts";
import { type Rig, withRig } from "../../hostd/rig.ts";
import { processesOf } from "../../hostd/whole.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "an app that is removed", () => {
  test("is stopped, its socket closed and its versions gone; its data stays, for when it comes again", () =>
    withRig(async (rig) => {
      await live(rig);
      await rig.client.hold("shop", "Christmas", undefined);
      const [older] = (await rig.client.app("shop")).slots.slice(-1);
      await rig.client.pin("shop", older?.image ?? "", "for ever");
      expect(await rig.operate("remove")).toMatchObject({ kind: "remove", state: "done" });
      await expectGone(rig);
      const [{ notes = [] } = {}] = (await rig.client.changes({ app: "shop" })).changes;
      expect(notes).toEqual(["its data is kept: hostd remove shop --data deletes it"]);
      const { apps } = await rig.client.status();
      expect(apps).toMatchObject([{ app: "shop", slots: [], snapshots: [{}], data: { format: 1 } }]);
      expect(apps[0]).not.toHaveProperty("current");
      expect(apps[0]).not.toHaveProperty("updatesHeld");
      expect(await rig.client.health()).toMatchObject({ verdict: "green" });
      expect(await rig.operate("remove")).toMatchObject({ state: "done" });

      expect(await rig.operate("deploy")).toMatchObject({ state: "done", to: 3 });
      expect(await rig.records()).toEqual([`0 by ${versionOf(rig, 1)}`]);
    }));

  test("with its data, leaves its history and the lowest sequence that is taken of it, and nothing else", () =>
    withRig(async (rig) => {
      await live(rig);
      expect(await rig.operate("remove", { data: true })).toMatchObject({ state: "done" });
      await expectGone(rig);
      expect((await rig.client.status()).apps).toEqual([]);
      expect(existsSync(join(rig.state, "data/shop"))).toBe(false);
      const { changes } = await rig.client.changes({ app: "shop" });
      expect(changes.map(({ kind }) => kind)).toEqual(["remove", "deploy", "deploy"]);
      await rig.publish({ version: "0.1.0", sequence: 1, stable: 100 });
      expect(await rig.operate("stage")).toMatchObject({
        reason: { code: "not-allowed", message: expect.stringContaining("from sequence 2 on, got 1") },
      });

      await rig.publish({ version: "3.0.0", sequence: 9, stable: 100 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      expect(await rig.records()).toEqual([]);
      expect((await rig.client.app("shop")).current).toMatchObject({ data: { version: "first" } });
    }));

  test("while something is mounted in the data that is to go, is refused before anything is touched", () =>
    withRig(async (rig) => {
      await live(rig);
      const place = join(rig.state, "data/shop/live/disk");
      mkdirSync(place);
      await run(["mount", "-t", "tmpfs", "none", place]);
      try {
        const refused = await rig.operate("remove", { data: true });
        expect(refused).toMatchObject({ state: "failed", reason: { code: "data-nested" } });
        expect(await rig.get("/version")).toBe(versionOf(rig, 2));
      } finally {
        await run(["umount", place]);
      }
      expect(await rig.operate("remove", { data: true })).toMatchObject({ state: "done" });
      expect(existsSync(join(rig.state, "data/shop"))).toBe(false);
    }));

  test("while a snapshot that is to go is read, is refused before anything is touched", () =>
    withRig(async (rig) => {
      await live(rig);
      await rig.stop();
      await withEngine(rig, async ({ engine }) => {
        const [snapshot] = engine.journal.snapshots.list("shop");
        await engine.node.withSnapshot("shop", snapshot?.id ?? "", async () => {
          engine.submit.remove({ app: "shop", by: "ada", data: true });
          await engine.submit.settled();
        });
        const [refused] = engine.journal.operations.list({ app: "shop", limit: 1 });
        expect(refused).toMatchObject({ kind: "remove", state: "failed", reason: { code: "data-in-use" } });
        expect(engine.journal.apps.get("shop")?.current).toBe(2);
      });
      await rig.start();
      expect(await rig.get("/version")).toBe(versionOf(rig, 2));
    }));

  test("is gone whole, whichever step a kill -9 of hostd comes before or after", () =>
    withRig(async (rig) => {
      const moments = OPERATIONS.remove.flatMap((step) => [`${step}.before`, `${step}.after`]);
      for (const [index, moment] of moments.entries()) {
        await rig.kill();
        await live(rig);
        await crash(rig, "remove", `remove.${moment}`, index);
        expect({ moment, ...(await restartAndWait(rig)) }).toMatchObject({ moment, kind: "remove", state: "done" });
        await expectGone(rig);
      }
    }));
});

/** Two versions that ran, with a record, and a snapshot from between them. */
async function live(rig: Rig): Promise<void> {
  for (const number of [1, 2]) {
    await rig.publish({ version: versionOf(rig, number), stable: 0 });
    if (number === 1) await rig.start();
    expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
    if (number === 1) await rig.record();
  }
}

async function expectGone(rig: Rig): Promise<void> {
  expect(processesOf(rig)).toEqual([]);
  await expect(rig.get("/version")).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  expect((await rig.client.app("shop")).slots).toEqual([]);
  const files = readdirSync(join(rig.state, "layers")).filter((name) => name.endsWith(".erofs"));
  expect(files).toEqual([]);
  expect(existsSync(join(rig.run, "apps/shop"))).toBe(false);
}
