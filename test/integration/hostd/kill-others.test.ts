import { expect, test } from "vitest";
import { appPid, crash, expectWhole, restartAndWait, versionOf, write } from "../../hostd/crash.ts";
import { type Rig, withRig } from "../../hostd/rig.ts";
import { processesOf } from "../../hostd/whole.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "hostd killed with -9", () => {
  test("while it takes a snapshot: the app is back, and the snapshot is whole or not there", () =>
    withRig(async (rig) => {
      const before = await live(rig);
      const written = [await write(rig)];
      for (const [index, name] of [
        "quiet.after",
        "snapshot.before",
        "snapshot.after",
        "again.before",
        "again.after",
      ].entries()) {
        await crash(rig, "snapshot", `snapshot.${name}`, index);
        const ended = await restartAndWait(rig);
        expect({ name, state: ended.state }).toEqual({ name, state: name.startsWith("again") ? "done" : "failed" });
        await expectWhole(rig, name, before, written);
      }
      expect((await rig.client.app("shop")).snapshots).toHaveLength(2);
    }));

  test("while it starts a sick app again: goes on with that, and the app is well", () =>
    withRig(async (rig) => {
      const before = await live(rig);
      const written = [await write(rig)];
      for (const name of ["sound.after", "bounce.before", "bounce.after", "judge.before", "judge.after"]) {
        await rig.kill();
        await rig.start({ fault: `restart.${name}` });
        process.kill(await appPid(rig), "SIGKILL");
        await rig.ended();
        const ended = await restartAndWait(rig);
        expect({ name, kind: ended.kind, state: ended.state }).toEqual({ name, kind: "restart", state: "done" });
        await expectWhole(rig, name, before, written);
      }
    }));

  test("while it stops and starts an app as asked: goes on with that, whichever it was", () =>
    withRig(async (rig) => {
      const before = await live(rig);
      const written = [await write(rig)];
      for (const [index, name] of ["sound.after", "bounce.before", "bounce.after", "judge.after"].entries()) {
        const half = ["halt.before", "halt.after"][index % 2];
        await crash(rig, "stop", `halt.${half}`, index);
        expect(await restartAndWait(rig)).toMatchObject({ kind: "halt", state: "done" });
        expect(await rig.client.app("shop")).toMatchObject({ health: "stopped", hold: expect.stringMatching(/^by /) });
        expect(processesOf(rig)).toEqual([]);
        await crash(rig, "start", `restart.${name}`, index);
        const ended = await restartAndWait(rig);
        expect({ name, kind: ended.kind, state: ended.state }).toEqual({ name, kind: "restart", state: "done" });
        await expectWhole(rig, name, before, written);
      }
    }));
});

async function live(rig: Rig) {
  await rig.publish({ version: versionOf(rig, 1), stable: 150 });
  await rig.start();
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
  return (await rig.client.app("shop")).current;
}
