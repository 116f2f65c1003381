import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };
const HOSTD = join(import.meta.dirname, "../../../bin/hostd");

describeWith(NEEDS, "a look at what a channel has", () => {
  test("tells what would be brought, what is here and what runs, and begins nothing", () =>
    withRig(async (rig) => {
      const first = await rig.publish({ version: "1.0.0", stable: 100, noise: 2 });
      await rig.start();
      const release = { image: first.image, version: "1.0.0", sequence: 1 };
      const unknown = await rig.client.check("shop");
      expect(unknown).toMatchObject({ app: "shop", channel: "production", state: "new", release });
      expect(unknown).not.toHaveProperty("current");
      expect(unknown.fetches).toBeGreaterThan(2_000_000);
      expect((await rig.client.status()).apps).toEqual([]);
      expect((await rig.client.changes({})).changes).toEqual([]);

      expect(await rig.operate("stage")).toMatchObject({ state: "done" });
      expect(await rig.client.check("shop")).toMatchObject({ state: "here", release, fetches: 0 });
      expect(await rig.operate("activate")).toMatchObject({ state: "done" });
      expect(await rig.client.check("shop")).toMatchObject({ state: "runs", release });
      expect(hostd(rig, "--unchanged-exit-77")).toEqual([77, "shop is at 1.0.0, as production releases it\n"]);

      await rig.publish({ version: "1.1.0", stable: 100 });
      const second = await rig.client.check("shop");
      expect(second).toMatchObject({ state: "new", release: { version: "1.1.0" }, current: { version: "1.0.0" } });
      expect(second.fetches).toBeLessThan(2_000_000);
      expect(hostd(rig, "--unchanged-exit-77")).toEqual([
        0,
        expect.stringMatching(
          /^shop is at 1\.0\.0; production releases 1\.1\.0, [\d.]+ \w+ to fetch: hostd stage shop\n$/,
        ),
      ]);
      expect(await rig.client.check("shop", "staging")).toMatchObject({ state: "none" });
    }));

  test("tells what this node would refuse, and why; that nobody can know is no answer", () =>
    withRig(async (rig) => {
      for (const version of ["1.0.0", "1.1.0"]) {
        await rig.publish({ version, stable: 100 });
        if (version === "1.0.0") await rig.start();
        expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      }
      expect(await rig.operate("rollback")).toMatchObject({ state: "done" });
      expect(await rig.client.check("shop")).toMatchObject({
        state: "refused",
        release: { version: "1.1.0" },
        current: { version: "1.0.0" },
        why: { code: "quarantined", message: expect.stringContaining("rolled back by command") },
      });
      await rig.publish({ version: "1.2.0", red: true });
      const red = await rig.client.check("shop");
      expect(red).toMatchObject({ state: "refused", why: { code: "not-allowed", outcome: "refused" } });
      expect(red).not.toHaveProperty("release");
      await rig.stop();
      await rig.start({ repository: "http://127.0.0.1:9/" });
      await expect(rig.client.check("shop")).rejects.toMatchObject({ code: "not-fresh" });
      expect(hostd(rig)).toEqual([3, expect.stringMatching(/^shop: /)]);
    }));
});

/** Exit code and what people see. */
function hostd(rig: Rig, ...words: string[]): [number | null, string] {
  const socket = ["--socket", join(rig.run, "hostd.sock"), "--no-json"];
  const { status, stdout } = spawnSync(HOSTD, ["check", ...words, ...socket], { encoding: "utf8" });
  return [status, stdout];
}
