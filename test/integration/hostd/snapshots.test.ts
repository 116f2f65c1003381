import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { crash, expectWhole, restartAndWait, versionOf } from "../../hostd/crash.ts";
import { type Rig, unlessRefused, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";
import { withMemoryFilesystem } from "../../with-mount.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "data with more in it than a snapshot holds", () => {
  test("whatever takes a snapshot is refused before it touches anything, and names the mount", () =>
    withRig(async (rig) => {
      await live(rig, {});
      await rig.record();
      expect(await rig.operate("snapshot")).toMatchObject({ state: "done" });
      const before = await rig.client.app("shop");
      const withData = before.snapshots[0]?.id ?? "";
      await rig.publish({ version: "1.1.0" });
      const disk = join(rig.state, "data/shop/versions/first/disk");
      await withMemoryFilesystem(disk, async () => {
        const [snapshot, deploy, rollback] = [
          await rig.operate("snapshot"),
          await rig.operate("deploy"),
          await rig.operate("rollback", { to: "current", withData }),
        ];
        for (const { state, reason } of [snapshot, deploy, rollback]) {
          expect(state).toBe("failed");
          expect(reason).toMatchObject({ outcome: "refused", code: "data-nested", details: { nested: [disk] } });
        }
        const { process, snapshots } = await rig.client.app("shop");
        expect([process, snapshots]).toEqual([before.process, before.snapshots]);
      });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
    }));
});

describeWith(NEEDS, "snapshots of an app that can be quiet", () => {
  test("it is not stopped: quiet, copied, loud again, and the snapshot says so", () =>
    withRig(async (rig) => {
      await live(rig, { quiesce: "good", resume: "good" });
      await rig.record();
      const before = (await rig.client.app("shop")).process?.pid;
      expect(await rig.operate("snapshot", { ttl: "14d" })).toMatchObject({ state: "done" });
      const { process, snapshots } = await rig.client.app("shop");
      expect(process?.pid).toBe(before);
      const [snapshot] = snapshots;
      expect(snapshot).toMatchObject({ consistency: "quiesced", reason: "asked for", generation: 1 });
      const kept = Date.parse(snapshot?.expires ?? "") - Date.parse(snapshot?.taken ?? "");
      expect(Math.abs(kept - 14 * 86_400_000)).toBeLessThan(5_000);
      expect(await rig.acknowledge()).toMatch(/^1 by /);
      expect(await rig.operate("rollback", { to: "current", withData: snapshot?.id ?? "" })).toMatchObject({
        state: "done",
      });
      expect(await rig.records()).toHaveLength(1);
    }));

  test.each(["bad", "hang"] as const)(
    "a QUIESCE hook that is %s: stopped instead, said so, and loud again",
    (quiesce) =>
      withRig(async (rig) => {
        await live(rig, { quiesce, resume: "good" });
        const before = (await rig.client.app("shop")).process?.pid;
        const taken = await rig.operate("snapshot");
        expect(taken).toMatchObject({ state: "done" });
        expect(taken.notes.join()).toMatch(/stopped the app for the snapshot: shop .*QUIESCE hook failed: /);
        const { process, snapshots } = await rig.client.app("shop");
        expect(snapshots).toMatchObject([{ consistency: "stopped" }]);
        expect(process?.pid).not.toBe(before);
        await rig.acknowledge();
      }),
  );

  test("a RESUME hook that fails: the app is started anew, and takes records", () =>
    withRig(async (rig) => {
      await live(rig, { quiesce: "good", resume: "bad" });
      const before = (await rig.client.app("shop")).process?.pid;
      const taken = await rig.operate("snapshot");
      expect(taken).toMatchObject({ state: "done" });
      expect(taken.notes).toContain("started the app anew, since it could not be resumed");
      const { process, snapshots } = await rig.client.app("shop");
      expect(process?.pid).not.toBe(before);
      expect(snapshots).toMatchObject([{ consistency: "quiesced" }]);
      await rig.acknowledge();
    }));

  test("hostd killed at any step: it is loud again, and the snapshot is whole or not there", () =>
    withRig(async (rig) => {
      await rig.start();
      await live(rig, { version: versionOf(rig, 1), quiesce: "good", resume: "good", stable: 100 });
      const { current } = await rig.client.app("shop");
      const written: string[] = [];
      const steps = ["room", "quiet", "snapshot", "again"].flatMap((step) => [`${step}.before`, `${step}.after`]);
      for (const [index, name] of steps.entries()) {
        written.push(await rig.acknowledge());
        await crash(rig, "snapshot", `snapshot.${name}`, index);
        const ended = await restartAndWait(rig);
        expect({ name, state: ended.state }).toEqual({ name, state: name.startsWith("again") ? "done" : "failed" });
        await expectWhole(rig, name, current, written);
        written.push(await rig.acknowledge());
      }
      const { snapshots } = await rig.client.app("shop");
      expect(snapshots).toHaveLength(2);
      expect(readdirSync(join(rig.state, "data/shop/snapshots"))).toHaveLength(2);
    }));
});

describeWith(NEEDS, "snapshots", () => {
  test("verify: the first reading is the record and says so, later ones are compared; damage is found and told", () =>
    withRig(async (rig) => {
      await live(rig, {});
      await rig.record();
      await rig.operate("snapshot");
      const id = (await rig.client.app("shop")).snapshots[0]?.id ?? "";
      const first = await rig.client.verifySnapshot("shop", id);
      expect(first).toMatchObject({ outcome: "recorded", found: { files: 2 } }); // its records, and their lock
      expect(first.recorded).toBeUndefined();
      const second = await rig.client.verifySnapshot("shop", id);
      expect(second).toMatchObject({ outcome: "same", recorded: first.found, found: { value: first.found.value } });
      const [file, whole] = [join(rig.state, "data/shop/snapshots", id, "records"), join(rig.directory, "records")];
      const back = { to: "current", withData: id };
      execFileSync("cp", ["--archive", file, whole]);
      writeFileSync(file, "0 by 9.9.9\n");
      const bad = await rig.client.verifySnapshot("shop", id);
      expect(bad).toMatchObject({ outcome: "differs", recorded: first.found });
      expect(await rig.client.snapshots("shop")).toMatchObject({ snapshots: [{ digest: { damaged: bad.at } }] });
      await expect(rig.client.begin("shop", "rollback", back)).rejects.toMatchObject({ code: "snapshot-damaged" });
      execFileSync("cp", ["--archive", whole, file]);
      expect(await rig.client.verifySnapshot("shop", id)).toMatchObject({ outcome: "same" });
      expect(await rig.operate("rollback", back)).toMatchObject({ state: "done" });
      await expect(rig.client.verifySnapshot("shop", "none")).rejects.toMatchObject({ code: "unknown-snapshot" });
    }));

  test("what an earlier journal left under the same names is taken neither for a snapshot of now nor for data brought back", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      const data = join(rig.state, "data/shop");
      cpSync(join(data, "versions/first"), join(data, "snapshots/before-g2"), { recursive: true });
      renameSync(join(data, "versions/first"), join(data, "versions/before-g2-op2"));
      rmSync(join(data, "live"));
      symlinkSync("versions/before-g2-op2", join(data, "live"));
      const written = await rig.acknowledge();
      await rig.publish({ version: "2.0.0", format: 2, reads: ">=1 <3", migrate: "bad" });
      expect(await rig.operate("deploy")).toMatchObject({ state: "failed", reverted: true, id: 2 });
      expect(await rig.records()).toEqual([written]);
      expect(await rig.get("/format")).toBe("");
    }));

  test("forget: the one of the rollback target only with force; sizes and why one is kept are listed", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await rig.record();
      await live(rig, { version: "1.1.0" });
      const { snapshots } = await rig.client.snapshots("shop");
      expect(snapshots).toMatchObject([
        { id: "before-g2", consistency: "stopped", kept: expect.stringContaining("rollback target, generation 1") },
      ]);
      expect(snapshots[0]?.size?.bytes).toBeGreaterThan(0);
      expect(snapshots[0]?.size?.exclusive).toBe(snapshots[0]?.size?.bytes);
      expect(snapshots[0]?.expires).toBeDefined();
      const asking = { snapshots: ["before-g2"] };
      await expect(rig.client.begin("shop", "forget", asking)).rejects.toMatchObject({ code: "protected" });
      expect(await rig.operate("forget", { ...asking, force: true })).toMatchObject({ state: "done" });
      expect((await rig.client.snapshots("shop")).snapshots).toEqual([]);
      expect(readdirSync(join(rig.state, "data/shop/snapshots"))).toEqual([]);
      await expect(rig.client.begin("shop", "forget", asking)).rejects.toMatchObject({ code: "unknown-snapshot" });
    }));

  test("quota: hostd's own make room, oldest first; where only those asked for are left, the next is refused and nothing is touched", () =>
    withRig(async (rig) => {
      await rig.start({ options: ["--snapshots", "2"] });
      await live(rig, { version: "1.0.0" });
      for (const version of ["1.1.0", "1.2.0", "1.3.0"]) await live(rig, { version });
      expect(await listed(rig)).toEqual(["before-g4", "before-g3"]);
      expect(await rig.operate("snapshot")).toMatchObject({
        state: "done",
        notes: ["forgot snapshots before-g3 to make room for the next one"],
      });
      await rig.operate("forget", { snapshots: ["before-g4"], force: true });
      expect(await rig.operate("snapshot")).toMatchObject({ state: "done" });
      const full = await listed(rig);
      const pid = (await rig.client.app("shop")).process?.pid;
      const refused = await rig.operate("snapshot");
      expect(refused).toMatchObject({
        state: "failed",
        reverted: false,
        reason: { code: "quota", outcome: "refused" },
      });
      await rig.publish({ version: "1.4.0" });
      expect(await rig.operate("deploy")).toMatchObject({ state: "failed", reason: { code: "quota" } });
      expect(await listed(rig)).toEqual(full);
      expect((await rig.client.app("shop")).process?.pid).toBe(pid);
      expect((await rig.client.app("shop")).slots[0]).toMatchObject({ version: "1.4.0", state: "staged" });
    }));

  test("quota in bytes: refuses before anything is touched, and says how many there are", () =>
    withRig(async (rig) => {
      await rig.start({ options: ["--snapshot-bytes", "1M"] });
      await live(rig, { version: "1.0.0" });
      writeFileSync(join(rig.state, "data/shop/live/large"), Buffer.alloc(700_000, 7));
      expect(await rig.operate("snapshot")).toMatchObject({ state: "done" });
      const refused = await rig.operate("snapshot");
      expect(refused.reason?.message).toMatch(/^snapshots: expected at most 1000000 bytes, got 7\d+ and 7\d+ to come$/);
    }));

  test("hostd killed while it forgets one: it is gone, and the record with it", () =>
    withRig(async (rig) => {
      await live(rig, {});
      for (const name of ["forget.before", "forget.after"]) {
        await rig.operate("snapshot");
        const [id = ""] = await listed(rig);
        rig.arm({ point: `forget.${name}`, action: "kill" });
        await rig.client.begin("shop", "forget", { snapshots: [id] }).catch(unlessRefused);
        await rig.ended();
        expect(await restartAndWait(rig)).toMatchObject({ kind: "forget", state: "done" });
        expect(await listed(rig)).toEqual([]);
        expect(readdirSync(join(rig.state, "data/shop/snapshots"))).toEqual([]);
        await rig.acknowledge();
      }
    }));
});

async function listed(rig: Rig): Promise<string[]> {
  return (await rig.client.app("shop")).snapshots.map(({ id }) => id);
}

async function live(rig: Rig, options: Partial<Parameters<Rig["publish"]>[0]>): Promise<void> {
  await rig.publish({ version: "1.0.0", stable: 150, ...options });
  await rig.client.status().catch(() => rig.start());
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
}
