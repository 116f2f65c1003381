import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { DAY, withEngine } from "../../hostd/in-process.ts";
import { withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };
const REASON = "nobody is here over Christmas";

describeWith(NEEDS, "an app whose updates are held", () => {
  test("stays at its version, whoever asks, also over a new hostd; what ran before may be gone back to", () =>
    withRig(async (rig) => {
      for (const version of ["1.0.0", "1.1.0"]) {
        await rig.publish({ version, stable: 100 });
        if (version === "1.0.0") await rig.start();
        expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      }
      const until = new Date(Date.now() + DAY).toISOString();
      const hold = { reason: REASON, until, by: expect.stringContaining("@") };
      expect(await rig.client.hold("shop", REASON, until)).toMatchObject({ updatesHeld: hold });
      expect(await rig.client.metrics()).toContain('\nhostd_app_updates_held{app="shop"} 1\n');
      await rig.stop();
      await rig.start({ options: ["--follow", "activate", "--care", "1s"] });

      const next = await rig.publish({ version: "1.2.0", stable: 100 });
      const held = {
        code: "updates-held",
        outcome: "refused",
        message: expect.stringMatching(new RegExp(`^updates of shop are held until ${until} by .*: ${REASON}$`)),
        hint: "hostd unhold shop lifts that; a rollback is not held",
      };
      await expect(rig.client.begin("shop", "deploy", {})).rejects.toMatchObject(held);
      await delay(3_000); // a look each second
      const looked = (await rig.client.changes({ app: "shop" })).changes.filter(({ by }) => by === "hostd");
      expect(new Set(looked.map(({ kind }) => kind)), rig.log()).toEqual(new Set(["stage"]));
      await expect(rig.client.begin("shop", "activate", { image: next.image })).rejects.toMatchObject(held);
      expect(await rig.get("/version")).toBe("1.1.0");
      expect(await rig.client.check("shop")).toMatchObject({ state: "here", updatesHeld: hold });
      const { version } = (await rig.client.app("shop")).current ?? {};
      expect(version).toBe("1.1.0");
      expect(await rig.operate("restart")).toMatchObject({ state: "done" });
      expect(await rig.operate("rollback")).toMatchObject({ state: "done", version: "1.0.0" });

      expect(await rig.client.unhold("shop")).not.toHaveProperty("updatesHeld");
      expect(await rig.client.unhold("shop")).not.toHaveProperty("updatesHeld");
      const kinds = (await rig.client.events({ app: "shop", limit: 1_000 })).events.map(({ kind }) => kind);
      expect(kinds.filter((kind) => kind.startsWith("updates."))).toEqual(["updates.held", "updates.released"]);
      await expect(rig.client.hold("shop", REASON, "2020-01-01T00:00:00Z")).rejects.toMatchObject({
        code: "bad-request",
      });
      await expect(rig.client.hold("nobody", REASON, undefined)).rejects.toMatchObject({ code: "unknown-app" });
    }));

  test("is free again once its time is over", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", stable: 100 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await rig.client.hold("shop", REASON, new Date(Date.now() + DAY).toISOString());
      await rig.stop();
      await withEngine(rig, async ({ engine, setClock }) => {
        const { updateHolds } = engine.journal;
        expect(() => updateHolds.refuse("shop")).toThrow(/^updates of shop are held until/);
        setClock(2 * DAY);
        expect(updateHolds.of("shop")).toBeUndefined();
        updateHolds.set("shop", { reason: "for good", until: undefined, by: "ada" });
        setClock(2_000 * DAY);
        expect(() => updateHolds.refuse("shop")).toThrow("updates of shop are held by ada: for good");
      });
    }));
});
