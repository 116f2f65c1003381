import { expect, test } from "vitest";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup", "mkfs.ext4", "mkfs.btrfs"] };

describeWith(NEEDS, "hostd that starts on a disk without a byte left", () => {
  for (const kind of ["ext4", "btrfs"] as const) {
    test(`on ${kind}: takes its apps over, brings them up after a reboot, and goes back in the room that it kept`, () =>
      withRig(
        async (rig) => {
          await stoppedWithTwoVersions(rig);
          rig.disk?.fill();
          await rig.start();
          await runs(rig, "1.1.0");
          await rig.reboot();
          await rig.start();
          await runs(rig, "1.1.0");
          expect(await rig.operate("rollback")).toMatchObject({ state: "done" });
          await runs(rig, "1.0.0");
        },
        { disk: kind },
      ));

    test(`on ${kind}, with what it kept gone too: brings them up, refuses what it could not record, and ends when asked`, () =>
      withRig(
        async (rig) => {
          await stoppedWithTwoVersions(rig);
          rig.disk?.fill();
          await rig.start();
          const giveBack = rig.disk?.fill();
          expect(await rig.stop()).toBe(0);
          rig.disk?.fill();
          await rig.reboot();
          await rig.start();
          await runs(rig, "1.1.0");
          await expect(rig.operate("rollback")).rejects.toMatchObject({ outcome: "failed", code: "disk-full" });
          await runs(rig, "1.1.0");
          giveBack?.();
          expect(await rig.operate("rollback")).toMatchObject({ state: "done" });
          await runs(rig, "1.0.0");
        },
        { disk: kind },
      ));
  }
});

/** Ended as it should be, so that its journal is one file, and needs room for its log. */
async function stoppedWithTwoVersions(rig: Rig): Promise<void> {
  for (const version of ["1.0.0", "1.1.0"]) {
    await rig.publish({ version });
    if (rig.pid() === 0) await rig.start();
    expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
  }
  expect(await rig.stop()).toBe(0);
}

async function runs(rig: Rig, version: string): Promise<void> {
  await eventually(
    () => rig.get("/version").catch(() => ""),
    (found) => found === version,
  );
  expect((await rig.client.app("shop")).current?.version).toBe(version);
}
