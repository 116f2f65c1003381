import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "the host's own checks in a trial", () => {
  test("a required one that fails takes a healthy app back; wanted is told; green.d and red.d hear the verdict", () =>
    withRig(async (rig) => {
      script(rig, "required.d/10-disk", 'test "$HOSTD_VERSION" != 1.1.0 || { echo "no room"; exit 1; }');
      script(rig, "wanted.d/10-mail", "echo no mail; exit 1");
      script(rig, "required.d/20-later", "exit 1", 0o644);
      for (const verdict of ["green", "red"]) {
        const log = join(rig.directory, "heard");
        const words = '"$HOSTD_VERDICT $HOSTD_KIND $HOSTD_VERSION $HOSTD_REASON"';
        script(rig, `${verdict}.d/10-tell`, `echo ${words} >> ${log}`);
      }
      await rig.publish({ version: "1.0.0", stable: 100 });
      await rig.start({ options: ["--checks", join(rig.directory, "checks")] });
      const first = await rig.operate("deploy");
      expect(first).toMatchObject({ state: "done" });
      expect(first.notes).toEqual([
        "host check required.d/20-later was skipped: not executable",
        "host check wanted.d/10-mail is not good: exit code 1: no mail",
      ]);
      const { hostChecks } = await rig.client.app("shop");
      expect(hostChecks.map(({ check, outcome }) => `${check} ${outcome}`)).toEqual([
        "required.d/10-disk ok",
        "required.d/20-later skipped",
        "wanted.d/10-mail failed",
        "green.d/10-tell ok",
      ]);

      await rig.publish({ version: "1.1.0", stable: 100 });
      const second = await rig.operate("deploy");
      expect(second).toMatchObject({
        state: "failed",
        reverted: true,
        reason: { code: "unhealthy", message: expect.stringContaining("required.d/10-disk: exit code 1: no room") },
        afterwards: { healthy: true },
      });
      expect(readFileSync(join(rig.directory, "heard"), "utf8").split("\n")).toEqual([
        "green deploy 1.0.0 ",
        "red deploy 1.1.0 unhealthy",
        "",
      ]);
      expect((await rig.client.status()).quarantine).toMatchObject([{ reason: expect.stringContaining("no room") }]);
      expect(await rig.client.failure(second.id)).toMatchObject({
        hostChecks: expect.arrayContaining([expect.objectContaining({ check: "required.d/10-disk", exitCode: 1 })]),
      });
      expect(await rig.get("/version")).toBe("1.0.0");
    }));
});

function script(rig: Rig, name: string, text: string, mode = 0o755): void {
  const file = join(rig.directory, "checks", name);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode });
}
