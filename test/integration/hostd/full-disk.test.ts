import { rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "hostd whose disk fills up", () => {
  test("in a trial takes the version back all the same, and records it once there is room", () =>
    withRig(async (rig) => {
      await mkdir(rig.state);
      await run(["mount", "-t", "tmpfs", "-o", "size=48m", "rig", rig.state]);
      await rig.publish({ version: "1.0.0" });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.publish({ version: "1.1.0", how: "sick", within: 1_500 });
      await rig.operate("stage");
      const begun = await rig.client.begin("shop", "activate", {});
      await eventually(
        () => rig.get("/version"),
        (version) => version === "1.1.0",
      );
      const filler = fill(rig);
      await eventually(
        () => rig.get("/version").catch(() => ""),
        (version) => version === "1.0.0",
      );
      rmSync(filler);
      const ended = await rig.client.wait(begun, () => {}, AbortSignal.timeout(40_000));
      expect(ended).toMatchObject({ state: "failed", reverted: true, reason: { code: "unhealthy" } });
      expect(await rig.client.app("shop")).toMatchObject({
        current: { number: 1 },
        slots: [{ state: "failed" }, { state: "good" }],
      });
      expect(await rig.get("/version")).toBe("1.0.0");
    }));
});

/** Takes every byte that is left; answers the file. */
function fill(rig: Rig): string {
  const path = join(rig.state, "filler");
  for (const size of [1024 * 1024, 4096]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: "a" });
    } catch {
      // no room for a piece of this size: try smaller ones
    }
  }
  return path;
}
