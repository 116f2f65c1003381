import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { forgetGenerations } from "../../../hostd/retention/generations.ts";
import { withEngine } from "../../hostd/in-process.ts";
import { withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

describeWith({ root: true, programs: ["bwrap", "perl", "losetup"] }, "hostd looks after old generations", () => {
  test("config and logs stay of the newest 32, of what runs and of the one before it", () =>
    withRig(async (rig) => {
      await rig.start();
      for (const version of ["1.0.0", "1.1.0"]) {
        await rig.publish({ version, stable: 100 });
        expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      }
      await rig.stop();
      const [config, log] = [join(rig.state, "apps/shop/config"), join(rig.state, "apps/shop/log")];
      for (let number = 3; number <= 40; number++) {
        mkdirSync(join(config, String(number)), { recursive: true });
        if (number % 2 === 0) writeFileSync(join(log, `${number}.log.1`), "");
      }
      writeFileSync(join(log, "5.log"), "");
      await withEngine(rig, async ({ engine }) => {
        await forgetGenerations(engine);
        const numbers = (await engine.node.generations("shop")).sort((one, other) => one - other);
        expect(numbers).toEqual([1, 2, ...Array.from({ length: 32 }, (_, at) => at + 9)]);
        expect(readdirSync(log).filter((name) => /^[5-8]\b/.test(name))).toEqual([]);
        expect(readdirSync(log)).toContain("holder.log");
      });
    }));
});
