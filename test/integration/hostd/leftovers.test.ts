import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { openNode } from "../../../hostd/system/node.ts";
import { pathsOf } from "../../../hostd/system/paths.ts";
import { digestFromHex } from "../../../manifests/digest.ts";
import { withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

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
