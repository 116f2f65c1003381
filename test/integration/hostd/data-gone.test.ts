import { once } from "node:events";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { createServer } from "node:net";
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
      await rig.publish({ version: "1.1.0" });
      await rig.operate("stage");
      await rig.reboot();
      const [data, elsewhere] = [join(rig.state, "data/shop"), join(rig.directory, "elsewhere")];
      renameSync(data, elsewhere);
      await rig.start();
      const app = await eventually(
        () => rig.client.app("shop"),
        ({ hindered, operations }) => hindered !== undefined && operations.length === 0,
      );
      expect(app.hindered).toMatch(/live: expected the data that generation 1 had, found none$/);
      expect(app).not.toHaveProperty("hold");
      for (const verb of ["restart", "start", "activate"]) {
        const body = verb === "activate" ? { image: app.current?.image } : {};
        await eventually(
          () => rig.client.app("shop"),
          ({ operations }) => operations.length === 0,
        );
        expect(await rig.operate(verb, body)).toMatchObject({ state: "failed", reason: { code: "data-gone" } });
      }
      expect(existsSync(data)).toBe(false);

      renameSync(elsewhere, data);
      await eventually(
        () => rig.client.app("shop"),
        ({ health, current }) => health === "healthy" && current?.version === "1.0.0",
        60_000,
      );
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
    }));

  test("costs no snapshot and no app that runs: what needs the data is refused before anything is touched", () =>
    withRig(async (rig) => {
      await rig.start({ options: ["--snapshots", "2"] });
      for (const version of ["1.0.0", "1.1.0", "1.2.0"]) {
        await rig.publish({ version });
        expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      }
      const { snapshots: before, process } = await rig.client.app("shop");
      const [data, elsewhere] = [join(rig.state, "data/shop"), join(rig.directory, "elsewhere")];
      renameSync(data, elsewhere);
      const refused = await rig.operate("snapshot");
      expect(refused).toMatchObject({ state: "failed", reason: { code: "data-gone" } });
      expect(refused.reason?.message).toMatch(/live: expected the data that generation 3 had, found none$/);
      expect(await rig.operate("restart")).toMatchObject({ state: "failed", reason: { code: "data-gone" } });
      const app = await rig.client.app("shop");
      expect(app).toMatchObject({ snapshots: before, process });
      expect(app).not.toHaveProperty("hold");
      renameSync(elsewhere, data);
      expect(await rig.operate("snapshot")).toMatchObject({ state: "done" });
    }));
});

describeWith({ root: true, programs: ["bwrap", "perl", "losetup"] }, "an app that never had data", () => {
  test.each([
    ["", undefined],
    [", also when hostd is killed before that", "before"],
    [", also when hostd is killed after that", "after"],
  ])("keeps what a first version that was no good wrote as a snapshot, and the next begins anew%s", (_, moment) =>
    withRig(async (rig) => {
      await rig.publish({ version: "5.0.0", format: 5, migrate: "good", how: "sick", within: 300 });
      await rig.start();
      if (moment === undefined) {
        expect(await rig.operate("deploy")).toMatchObject({ state: "failed", reverted: true });
      } else {
        rig.arm({ point: `deploy.migrate.undo.${moment}`, action: "kill" });
        await rig.client.begin("shop", "deploy", {});
        await rig.ended();
        await rig.start();
      }
      const app = await eventually(
        () => rig.client.app("shop"),
        ({ operations }) => operations.length === 0,
      );
      expect(app.snapshots).toMatchObject([{ id: "kept-g1", format: 5, generation: 1 }]);
      const [failed] = (await rig.client.changes({ app: "shop" })).changes;
      expect(failed?.notes).toContain(
        "the app had no data before, and has none again; what 5.0.0 wrote is kept as snapshot kept-g1",
      );
      expect(readFileSync(join(rig.state, "data/shop/snapshots/kept-g1/format"), "utf8")).toBe("5");
      expect(existsSync(join(rig.state, "data/shop/live"))).toBe(false);

      await rig.publish({ version: "1.5.0", format: 1 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      expect(await rig.get("/format")).toBe("");
      expect(await rig.acknowledge()).toBe("0 by 1.5.0");
    }),
  );

  test("because its first start failed before that, is installed by the next one, whatever format the first declared", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "2.0.0", format: 2 });
      await rig.start();
      const occupant = createServer().listen(rig.port, "127.0.0.1");
      await once(occupant, "listening");
      expect(await rig.operate("deploy")).toMatchObject({ state: "failed", reverted: true });
      occupant.close();
      await once(occupant, "close");
      await rig.publish({ version: "1.0.0", format: 1 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      expect(await rig.acknowledge()).toBe("0 by 1.0.0");
    }));
});
