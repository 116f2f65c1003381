import { expect, test } from "vitest";
import { careForSnapshots, readNewSnapshots } from "../../../hostd/data/care-for-snapshots.ts";
import { verifySnapshot } from "../../../hostd/data/verify.ts";
import { DAY, withEngine } from "../../hostd/in-process.ts";
import { type Rig, withRig } from "../../hostd/rig.ts";
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

  test("one that is being read neither makes room nor expires: others go in its place, or nothing does", () =>
    withRig(async (rig) => {
      await leaveThreeSnapshots(rig);
      await withEngine(rig, async ({ engine, setClock }) => {
        const listed = () => engine.journal.snapshots.list("shop").map(({ id }) => id);
        const read = (id: string, use: () => Promise<void>) => engine.node.withSnapshot("shop", id, use);
        async function snapshot() {
          const { id } = engine.submit.snapshot({ app: "shop", by: "test" });
          await engine.submit.settled();
          return engine.journal.operations.get(id);
        }
        expect(listed()).toEqual(["before-g4", "before-g3", "before-g2"]);

        await read("before-g3", async () => {
          engine.settings.snapshots.count = 2;
          expect(await snapshot()).toMatchObject({ state: "failed", reason: { code: "quota" } });
          expect(listed()).toEqual(["before-g4", "before-g3", "before-g2"]);
          const forget = () => engine.submit.forget({ app: "shop", by: "test", snapshots: ["before-g3"], force: true });
          expect(forget).toThrow(expect.objectContaining({ code: "busy", outcome: "busy" }));
        });

        setClock(15 * DAY);
        await read("before-g2", async () => {
          expect([...(await careForSnapshots(engine, new Set(["shop before-g2"])))]).toEqual(["shop before-g3"]);
          engine.settings.snapshots.count = 3;
          expect(await snapshot()).toMatchObject({ state: "done" });
          expect(listed().slice(1)).toEqual(["before-g4", "before-g2"]);
        });
      });
    }));

  test("nobody begins to read one that makes room while another one is deleted", () =>
    withRig(async (rig) => {
      await leaveThreeSnapshots(rig);
      await withEngine(rig, async ({ engine }) => {
        const { forget, digestSnapshot } = engine.node;
        const read: string[] = [];
        engine.node.digestSnapshot = (app, id, pace) => {
          read.push(id);
          return digestSnapshot(app, id, pace);
        };
        const refused: unknown[] = [];
        engine.node.forget = async (app, id) => {
          const other = id === "before-g2" ? "before-g3" : "before-g2";
          await verifySnapshot(engine, app, other).catch((error) => refused.push(error.code));
          await forget(app, id);
        };
        engine.settings.snapshots.count = 2;
        const { id } = engine.submit.snapshot({ app: "shop", by: "test" });
        await engine.submit.settled();
        expect(engine.journal.operations.get(id)).toMatchObject({ state: "done" });
        expect(read).toEqual([]);
        expect(refused).toEqual(["unknown-snapshot", "unknown-snapshot"]);
      });
    }));
});

/** One before each switch but the first. */
async function leaveThreeSnapshots(rig: Rig): Promise<void> {
  await rig.start();
  for (const version of ["1.0.0", "1.1.0", "1.2.0", "1.3.0"]) {
    await rig.publish({ version, stable: 100 });
    expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
  }
  await rig.stop();
}
