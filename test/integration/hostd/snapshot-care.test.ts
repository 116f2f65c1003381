import { expect, test } from "vitest";
import { careForSnapshots, readNewSnapshots } from "../../../hostd/data/care-for-snapshots.ts";
import { DAY, withEngine } from "../../hostd/in-process.ts";
import { withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

describeWith({ root: true, programs: ["bwrap", "perl", "losetup"] }, "hostd looks after snapshots", () => {
  test("forgets what is over at two looks, never what a rollback needs, and nothing for a clock that jumped", () =>
    withRig(async (rig) => {
      await rig.start();
      for (const version of ["1.0.0", "1.1.0", "1.2.0"]) {
        await rig.publish({ version, stable: 100 });
        expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      }
      expect(await rig.operate("snapshot")).toMatchObject({ state: "done" });
      await rig.stop();
      await withEngine(rig, async ({ engine, setClock }) => {
        const listed = () => engine.journal.snapshots.list("shop").map(({ id }) => id);
        const look = async (before: ReadonlySet<string> = new Set()) => {
          const due = await careForSnapshots(engine, before);
          await engine.submit.settled();
          return due;
        };
        const all = listed();
        expect(all.slice(1)).toEqual(["before-g3", "before-g2"]);

        expect([...(await look())]).toEqual([]);
        await readNewSnapshots(engine, async () => {});
        const digests = engine.journal.snapshots.list("shop").map(({ digest }) => digest?.files);
        expect(digests).toEqual([0, 0, 0]);

        setClock(15 * DAY);
        const jumped = await look();
        expect([...jumped]).toEqual(["shop before-g2"]);
        setClock(0);
        expect([...(await look(jumped))]).toEqual([]);
        expect(listed()).toEqual(all);

        setClock(15 * DAY);
        await look(await look());
        expect(listed()).toEqual(all.slice(0, 2));
        expect((await engine.node.snapshots("shop")).map(({ id }) => id).sort()).toEqual(listed().sort());
        const [last] = engine.journal.operations.list({ app: "shop", limit: 1 });
        expect(last).toMatchObject({ kind: "forget", caller: "hostd", state: "done" });
      });
    }));
});
