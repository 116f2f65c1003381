import { expect, test } from "vitest";
import { openSource } from "../../../effects/source.ts";
import { systemClock } from "../../../hostd/clock.ts";
import { careForSnapshots, readNewSnapshots } from "../../../hostd/data/care.ts";
import { type Engine, openEngine } from "../../../hostd/engine.ts";
import { recover } from "../../../hostd/recover/recover.ts";
import { openNode } from "../../../hostd/system/node.ts";
import { type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const DAY = 86_400_000;

/** The engine of a node in this very process, with a wall clock that can be set. */
async function withEngine(rig: Rig, use: (engine: Engine, setClock: (shift: number) => void) => Promise<void>) {
  let shift = 0;
  const engine = await openEngine({
    stateDirectory: rig.state,
    node: await openNode({ stateDirectory: rig.state, runDirectory: rig.run }),
    source: openSource(rig.publisher.directory),
    examine: () => Promise.reject(new Error("nothing is staged here")),
    clock: { ...systemClock, date: () => new Date(Date.now() + shift) },
    log: () => {},
    host: undefined,
    settings: {
      channel: "production",
      keep: 3,
      reserve: 0,
      snapshots: { count: 12, bytes: undefined, ttl: 14 * DAY },
      onSick: "restart",
      care: { every: 3_600_000, scrubEvery: 3_600_000 },
      checks: { directories: [], timeout: 1_000 },
    },
  });
  try {
    await recover(engine);
    await use(engine, (to) => {
      shift = to;
    });
  } finally {
    await engine.close();
  }
}

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
      await withEngine(rig, async (engine, setClock) => {
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
