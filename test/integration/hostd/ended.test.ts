import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { getEventListeners, once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { systemClock } from "../../../hostd/clock.ts";
import { BLOBS } from "../../../manifests/image.ts";
import { crash, restartAndWait } from "../../hostd/crash.ts";
import { withEngine } from "../../hostd/in-process.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };
/** Milliseconds between two knocks at the door of an app that is stopped (hostd/switch/gap.ts). */
const KNOCK = 5;

describeWith(NEEDS, "an operation that has ended", () => {
  test("leaves nothing of it in hostd's memory", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await withEngine(rig, async ({ engine }) => {
        const listeners = () => getEventListeners(engine.closing, "abort").length;
        const before = listeners();
        const ids: number[] = [];
        for (let count = 0; count < 5; count++) {
          ids.push(engine.submit.prune({ app: "shop", by: "test" }).id);
          await engine.submit.settled();
        }
        expect(listeners()).toBe(before);
        expect(ids.map((id) => engine.board.progress(id))).toEqual(ids.map(() => undefined));
      });
    }));

  test("that was taken back at the start of hostd has its ballast held again", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await rig.publish({ version: "1.1.0" });
      await crash(rig, "deploy", "deploy.stop.after", 1);
      expect(await restartAndWait(rig)).toMatchObject({ state: "failed", reverted: true });
      await eventually(
        async () => existsSync(join(rig.state, "ballast")),
        (there) => there,
        2_000,
      );
    }));

  test("does not knock any more at the door of an app that did not come back", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0", bindsItself: true });
      await withEngine(rig, async ({ engine }) => {
        let knocks = 0;
        engine.clock.sleep = (milliseconds, signal) => {
          if (milliseconds === KNOCK) knocks++;
          return systemClock.sleep(Math.min(milliseconds, 50), signal);
        };
        const layers = join(rig.state, "layers");
        const lose = (moment: unknown) => {
          if (moment !== "snapshot.snapshot.before") return;
          for (const name of readdirSync(layers)) rmSync(join(layers, name));
        };
        subscribe("hostd.moment", lose);
        try {
          const { id } = engine.submit.snapshot({ app: "shop", by: "test" });
          await engine.submit.settled();
          expect(engine.journal.operations.get(id)).toMatchObject({ state: "failed", reverted: false });
        } finally {
          unsubscribe("hostd.moment", lose);
        }
        expect(knocks).toBeGreaterThan(0);
        knocks = 0;
        await delay(300);
        expect(knocks).toBe(0);
      });
    }));

  test("and was taken back has its end also where nobody can look whether the old version is well", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await rig.publish({ version: "1.1.0", how: "sick" });
      await rig.start();
      expect((await rig.operate("stage")).state).toBe("done");
      await rig.stop();
      await withEngine(rig, async ({ engine }) => {
        const { check } = engine.node;
        engine.node.check = (health, target) => {
          if (target.generation === 1) throw Object.assign(new Error("spawn EAGAIN"), { code: "EAGAIN" });
          return check(health, target);
        };
        const { id } = engine.submit.activate({ app: "shop", by: "test" });
        await engine.submit.settled();
        expect(engine.journal.operations.get(id)).toMatchObject({ state: "failed", reverted: true });
        engine.submit.prune({ app: "shop", by: "test" });
      });
    }));

  test.each([
    ["where its repository stands still", () => true],
    ["where that stands still at the blobs", (path: string) => path.startsWith(`/${BLOBS}`)],
  ] as const)("or whose hostd ends is not waited for %s", (_, standsStill) =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await rig.publish({ version: "1.1.0" });
      const server = createServer(({ url = "" }, response) => {
        if (standsStill(url)) return void server.emit("still");
        const file = join(rig.publisher.directory, url);
        response.writeHead(existsSync(file) ? 200 : 404).end(existsSync(file) ? readFileSync(file) : undefined);
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      try {
        const { port } = server.address() as { port: number };
        await rig.start({ options: ["--repository", `http://127.0.0.1:${port}`] });
        const asked = once(server, "still");
        const begun = await rig.client.begin("shop", "stage", {});
        await asked;
        await rig.client.abort(begun.id);
        const aborted = await rig.client.wait(begun, () => {}, AbortSignal.timeout(20_000));
        expect(aborted).toMatchObject({ state: "failed", reason: { code: "aborted" } });
        const again = once(server, "still");
        await rig.client.begin("shop", "stage", {});
        await again;
        expect(await rig.stop()).toBe(0);
      } finally {
        server.closeAllConnections();
        server.close();
      }
    }),
  );
});

describeWith(NEEDS, "an app that is stopped for its snapshot, or to be started anew", () => {
  test("is not called healthy by what was seen before", () =>
    withRig(async (rig) => {
      await live(rig, { version: "1.0.0" });
      await withEngine(rig, async ({ engine }) => {
        const told: unknown[] = [];
        const { snapshot, start } = engine.node;
        engine.node.snapshot = (app, id) => {
          told.push(engine.board.health(app));
          return snapshot(app, id);
        };
        engine.board.setHealth("shop", "healthy");
        engine.submit.snapshot({ app: "shop", by: "test" });
        await engine.submit.settled();
        engine.node.start = (spec) => {
          told.push(engine.board.health(spec.app));
          return start(spec);
        };
        engine.board.setHealth("shop", "healthy");
        engine.submit.restart({ app: "shop", by: "test" });
        await engine.submit.settled();
        expect(told).toEqual([undefined, undefined]);
      });
    }));
});

/** A version that is good, on a node whose hostd has ended. */
async function live(rig: Rig, options: Parameters<Rig["publish"]>[0]): Promise<void> {
  await rig.publish(options);
  await rig.start();
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
  await rig.stop();
}
