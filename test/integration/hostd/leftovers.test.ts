import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { openNode } from "../../../hostd/system/node.ts";
import { pathsOf } from "../../../hostd/system/paths.ts";
import { digestFromHex } from "../../../manifests/digest.ts";
import { eventually, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";
import { withMemoryFilesystem } from "../../with-mount.ts";

const hasSome = (problems: readonly string[]) => problems.length > 0;

describeWith({ root: true, programs: ["bwrap", "perl", "losetup"] }, "what a start of hostd finds", () => {
  test("a slot that the journal does not know and somebody stands in: hostd starts all the same, and says so", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0" });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.kill();
      const image = digestFromHex("e".repeat(64));
      const slot = pathsOf({ stateDirectory: rig.state, runDirectory: rig.run }).slot("shop", image);
      const [one, other] = ["one", "other"].map((name) => join(rig.directory, name));
      for (const directory of [slot, one, other]) mkdirSync(directory ?? "", { recursive: true });
      await run(["mount", "-t", "overlay", image, "-o", `lowerdir=${one}:${other},ro`, slot]);
      const standing = spawn("sleep", ["60"], { cwd: slot });
      try {
        await rig.start();
        expect(await rig.client.app("shop")).toMatchObject({ current: { number: 1 } });
        expect(rig.log()).toMatch(/"message":"leftover not removed".*"image":"sha256:e{64}"/);
      } finally {
        standing.kill("SIGKILL");
      }
      await rig.stop();
      await rig.start();
      const node = await openNode({ stateDirectory: rig.state, runDirectory: rig.run });
      expect((await node.mountedSlots()).map((mounted) => mounted.image)).not.toContain(image);
    }));

  test("an old version of data that cannot be removed hinders nothing, and is told until it is gone", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0" });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.kill();
      const versions = join(rig.state, "data/shop/versions");
      await withMemoryFilesystem(join(versions, "old/disk"), async () => {
        await rig.start({ options: ["--care", "1s"] });
        expect(await rig.client.app("shop")).toMatchObject({ current: { number: 1 } });
        const { events } = await rig.client.events({ app: "shop", limit: 100 });
        const told = events.filter(({ kind }) => kind === "leftover.stays").map(({ detail }) => detail["what"]);
        expect(told).toEqual([join(versions, "old")]);
        const problems = await eventually(async () => (await rig.client.status()).care?.problems ?? [], hasSome);
        expect(problems.join()).toContain(`${join(versions, "old")}: not live any more, but not removed: `);
      });
      await eventually(
        async () => (await rig.client.status()).care?.problems,
        (problems) => problems?.length === 0,
      );
      expect(readdirSync(versions)).toEqual(["first"]);
    }));

  test("the operation that left an old version of data behind says so, and is taken back all the same", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0" });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.record();
      const versions = join(rig.state, "data/shop/versions");
      writeFileSync(join(versions, "first/fixed"), "");
      await run(["chattr", "+i", join(versions, "first/fixed")]);
      await rig.publish({ version: "2.0.0", format: 2, reads: ">=1 <3", migrate: "bad" });
      const ended = await rig.operate("deploy");
      const [left = ""] = readdirSync(versions).filter((name) => name.startsWith("."));
      await run(["chattr", "-i", join(versions, left, "fixed")]);
      expect(ended).toMatchObject({ state: "failed", reverted: true, reason: { code: "hook-failed" } });
      expect(ended.notes.join()).toContain(`${join(versions, "first")}: not live any more, but not removed: `);
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
    }));

  test("what is no app's, such as the lost+found of a disk of its own: stays, and hinders nothing", () =>
    withRig(async (rig) => {
      const strange = ["data", "apps", "layers"].map((name) => join(rig.state, name, "lost+found"));
      for (const directory of strange) mkdirSync(directory, { recursive: true });
      writeFileSync(join(rig.state, "data", "readme"), "of whoever mounted this\n");
      await rig.publish({ version: "1.0.0" });
      for (const _ of ["first start", "second"]) {
        await rig.start();
        expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
        expect(await rig.stop()).toBe(0);
      }
      for (const directory of strange) expect(existsSync(directory)).toBe(true);
    }));
});
