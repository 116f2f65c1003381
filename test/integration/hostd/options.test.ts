import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };
const HOSTD = join(import.meta.dirname, "../../../bin/hostd");

describeWith(NEEDS, "options on hostd's command line", () => {
  test("prune --dry-run names what would go and takes nothing; --keep takes it", () =>
    withRig(async (rig) => {
      await rig.start({ options: ["--keep", "5"] });
      for (const version of ["1.0.0", "1.1.0", "1.2.0"]) {
        await rig.publish({ version });
        expect((await rig.operate("deploy")).state).toBe("done");
      }
      const versions = async () => (await rig.client.app("shop")).slots.map(({ version }) => version);
      const planned = hostd(rig, "prune", "--keep", "1", "--dry-run");
      expect(planned).toMatchObject({ status: 0, json: { collected: [{ app: "shop", version: "1.0.0" }] } });
      expect(await versions()).toEqual(["1.2.0", "1.1.0", "1.0.0"]);
      expect(hostd(rig, "prune", "--keep", "1")).toMatchObject({
        status: 0,
        json: { collected: [{ version: "1.0.0" }] },
      });
      expect(await versions()).toEqual(["1.2.0", "1.1.0"]);
      expect(hostd(rig, "prune", "--keep", "0").status).toBe(2);
    }));

  test("snapshot create --ttl says until when, hold --until ends by itself, and words that are no time are refused", () =>
    withRig(async (rig) => {
      await rig.start();
      await rig.publish({ version: "1.0.0" });
      expect((await rig.operate("deploy")).state).toBe("done");
      expect(hostd(rig, "snapshot", "create", "shop", "--ttl", "14d").status).toBe(0);
      const [snapshot] = (await rig.client.app("shop")).snapshots;
      const days = (Date.parse(snapshot?.expires ?? "") - Date.now()) / 86_400_000;
      expect([days > 13.9, days < 14]).toEqual([true, true]);
      expect(hostd(rig, "snapshot", "create", "shop", "--ttl", "soon").status).toBe(2);

      const why = ["--reason", "nobody is here"];
      expect(hostd(rig, "hold", "shop", "--until", "2s", ...why).status).toBe(0);
      await rig.publish({ version: "1.1.0" });
      expect(hostd(rig, "activate", "shop", "123456").status).toBe(3);
      expect((await rig.client.app("shop")).updatesHeld).toMatchObject({ reason: "nobody is here" });
      await new Promise((resolve) => setTimeout(resolve, 2_100));
      expect((await rig.client.app("shop")).updatesHeld).toBeUndefined();
      expect((await rig.operate("deploy")).state).toBe("done");
      expect(hostd(rig, "hold", "shop", "--until", "whenever", ...why).status).toBe(2);
    }));

  test("what is for the host alone is refused for an app before anything begins", () =>
    withRig(async (rig) => {
      await rig.start();
      await rig.publish({ version: "1.0.0" });
      expect((await rig.operate("stage")).state).toBe("done");
      for (const option of [["--reboot"], ["--break-glass", "it burns"], ["--confirm-within", "60"]]) {
        const refused = hostd(rig, "activate", "shop", ...option);
        expect(refused).toMatchObject({ status: 2, json: { error: { code: "bad-request" } } });
      }
      expect((await rig.client.app("shop")).current).toBeUndefined();
    }));
});

function hostd(rig: Rig, ...words: string[]) {
  const { status, stdout } = spawnSync(HOSTD, [...words, "--socket", join(rig.run, "hostd.sock")], {
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status, json: JSON.parse(stdout) as unknown };
}
