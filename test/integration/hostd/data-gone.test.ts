import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

describeWith({ root: true, programs: ["bwrap", "perl", "losetup"] }, "an app whose data is gone", () => {
  test("as on a disk that is not mounted, is not started on empty data, and goes on with its own once that is back", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0" });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.record();
      await rig.reboot();
      const [data, elsewhere] = [join(rig.state, "data/shop"), join(rig.directory, "elsewhere")];
      renameSync(data, elsewhere);
      await rig.start();
      const app = await eventually(
        () => rig.client.app("shop"),
        ({ hold, operations }) => hold !== undefined && operations.length === 0,
      );
      expect(app.hold).toMatch(/live: expected the data that generation 1 had, found none$/);
      expect(existsSync(data)).toBe(false);
      await rig.stop();

      renameSync(elsewhere, data);
      await rig.start();
      expect(await rig.operate("activate")).toMatchObject({ state: "done" });
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
    }));
});
