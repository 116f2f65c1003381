import { existsSync, readlinkSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

/** A migration that leaves half of its work and takes every byte that is left. */
const FILLS = `open(my $half, ">", "/var/lib/shop/format"); print $half "half"; close $half;
open(my $fill, ">", "/var/lib/shop/fill"); 1 while syswrite($fill, "x" x 65536); die "no room\\n"`;

describeWith(NEEDS, "a migration that fails", () => {
  test("and leaves no room for the data to come back: nothing runs on what it left, and the snapshot stays", () =>
    withRig(
      async (rig) => {
        await live(rig, 15_000_000);
        const hooks = { migrate: { command: ["/usr/bin/perl", "-e", FILLS], timeout: 20_000 } };
        await rig.publish({ version: "2.0.0", hooks });
        const failed = await rig.operate("deploy");
        expect(failed).toMatchObject({ state: "failed", reverted: false, reason: { code: "hook-failed" } });
        expect(await rig.client.app("shop")).toMatchObject({
          health: "stopped",
          hold: expect.stringMatching(/^operation 2 could not be taken back: its data did not come back: .*No space/s),
          current: { number: 1 },
          slots: [{ state: "failed" }, { state: "good" }],
          snapshots: [{ id: "before-g2" }],
        });
        await expect(rig.get("/version")).rejects.toThrow();

        await rig.kill();
        rmSync(join(rig.state, "data/shop/live/fill"));
        await rig.start();
        expect((await rig.client.app("shop")).health).toBe("stopped");
        const back = { to: "current", withData: "before-g2" };
        expect(await rig.operate("rollback", back)).toMatchObject({ state: "done" });
        expect(await rig.get("/format")).toBe("");
        expect(await rig.records()).toEqual(["0 by 1.0.0"]);
      },
      { disk: "ext4" },
    ));

  test("could not be taken back on this disk: refused before anything is touched", () =>
    withRig(
      async (rig) => {
        await live(rig, 50_000_000);
        const pid = (await rig.client.app("shop")).process?.pid;
        await rig.publish({ version: "2.0.0", format: 2, reads: ">=1 <3", migrate: "bad" });
        const refused = await rig.operate("deploy");
        expect(refused).toMatchObject({ state: "failed", reason: { code: "no-space", outcome: "refused" } });
        expect(refused.reason?.message).toMatch(
          /^snapshot: expected \d+ bytes free \(\d+ to take, \d+ to go back, 1000000 in reserve\), got/,
        );
        expect(existsSync(join(rig.state, "data/shop/live/format"))).toBe(false);
        expect((await rig.client.app("shop")).process?.pid).toBe(pid);
      },
      { disk: "ext4" },
    ));
});

describeWith(NEEDS, "a restore whose migration fails", () => {
  test("says that the data is as it was, and status names the version of it that is on the disk", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0" });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const migrate = { command: ["/usr/bin/perl", "-e", 'die "no\n" if -e "/var/lib/shop/old"'], timeout: 20_000 };
      await rig.publish({ version: "2.0.0", format: 2, reads: ">=1 <3", hooks: { migrate } });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      writeFileSync(join(rig.state, "data/shop/snapshots/before-g2/old"), "");
      const written = await rig.acknowledge();

      const failed = await rig.operate("rollback", { to: "current", withData: "before-g2" });
      expect(failed).toMatchObject({ state: "failed", reverted: true, reason: { code: "hook-failed" } });
      expect(failed.notes.at(-1)).toBe("put the data back as it was before; snapshot before-g3 goes with that");
      const { current, snapshots } = await rig.client.app("shop");
      expect(snapshots.map(({ id }) => id)).toEqual(["before-g2"]);
      expect(await rig.records()).toEqual([written]);
      const live = readlinkSync(join(rig.state, "data/shop/live"));
      expect(current?.data).toEqual({ version: basename(live), format: 2 });
    }));
});

describeWith(NEEDS, "a restore that finds no room after all", () => {
  test("has changed nothing: the data stays what it is, and the app goes on with it", () =>
    withRig(
      async (rig) => {
        await live(rig, 15_000_000);
        expect(await rig.operate("snapshot")).toMatchObject({ state: "done" });
        const [snapshot] = (await rig.client.app("shop")).snapshots;
        const written = await rig.acknowledge();
        rig.arm({ point: "rollback.restore.before", action: "pause" });
        const begun = await rig.client.begin("shop", "rollback", { to: "current", withData: snapshot?.id });
        await rig.reached();
        const giveBack = rig.disk?.fill();
        rig.goOn();
        const ended = await rig.client.wait(begun, () => {}, AbortSignal.timeout(60_000));
        expect(ended).toMatchObject({ state: "failed", reverted: true });
        expect(await rig.client.app("shop")).not.toHaveProperty("hold");
        giveBack?.();
        expect(await rig.records()).toEqual(["0 by 1.0.0", written]);
      },
      { disk: "ext4" },
    ));
});

describeWith(NEEDS, "a snapshot that is a copy", () => {
  test("leaves the reserve free: what the app writes next is not for hostd to take", () =>
    withRig(
      async (rig) => {
        await live(rig, 20_000_000);
        await rig.kill();
        const { bsize, bavail } = statfsSync(rig.state);
        await rig.start({ reserve: Math.floor((bsize * bavail) / 1_000_000) - 10 });
        const refused = await rig.operate("snapshot");
        expect(refused).toMatchObject({ state: "failed", reason: { code: "no-space", outcome: "refused" } });
        expect(refused.reason?.message).toMatch(
          /^snapshot: expected \d+ bytes free \(\d+ to take, \d+ in reserve\), got/,
        );
        expect(await rig.acknowledge()).toMatch(/^1 by /);
      },
      { disk: "ext4" },
    ));
});

/** A version that is good and has a record, and so many bytes of data besides. */
async function live(rig: Rig, bytes: number): Promise<void> {
  await rig.publish({ version: "1.0.0" });
  await rig.start();
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
  await rig.record();
  writeFileSync(join(rig.state, "data/shop/live/large"), Buffer.alloc(bytes, 7));
}
