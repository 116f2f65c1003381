import { expect, test } from "vitest";
import { switchUnderLoad } from "../../hostd/switches.ts";
import { describeLoad } from "../../load.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "ten switches of the shop under load", () => {
  test.each(["stop-first", "start-first"])(
    "%s: no request fails, no order is lost, over fresh and kept connections",
    async (order) => {
      const { reports, lost } = await switchUnderLoad(10, order === "start-first");
      for (const { report } of reports) {
        expect(report.failed, describeLoad(report)).toEqual([]);
        expect(report.acknowledged.length).toBeGreaterThan(10);
      }
      expect(lost).toBe(0);
    },
  );
});
