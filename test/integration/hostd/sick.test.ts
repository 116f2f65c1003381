import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import type { Engine } from "../../../hostd/engine.ts";
import { NodeError } from "../../../hostd/system/failure.ts";
import { withEngine } from "../../hostd/in-process.ts";
import { abortWhileJudged, eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "an app that is sick", () => {
  test("while another operation has it is told of once, and acted on when that has ended", () =>
    withRig(async (rig) => {
      await live(rig);
      await withEngine(rig, async ({ engine }) => {
        const about = { requestId: "held", kind: "forget", app: "shop", caller: "test", plan: {} } as const;
        const { id } = engine.journal.operations.begin(about);
        await engine.node.stop("shop", 1, 0);
        await eventually(
          async () => told(engine),
          (count) => count > 0,
        );
        await delay(1_000);
        expect(told(engine)).toBe(1);
        engine.journal.operations.finish(id);
        await eventually(
          async () => engine.journal.operations.list({ app: "shop", limit: 1 })[0],
          (newest) => newest?.kind === "restart" && newest.state === "done",
        );
      });
    }));

  test("that could not be stopped is watched on", () =>
    withRig(async (rig) => {
      await live(rig);
      await withEngine(rig, async ({ engine }) => {
        const { restart } = engine.submit;
        const { stop } = engine.node;
        engine.submit.restart = ({ app, by, cause = "" }) => {
          engine.node.stop = () => Promise.reject(new Error("its holder does not answer"));
          engine.submit.restart = restart;
          return engine.submit.halt({ app, by, cause });
        };
        await engine.node.stop("shop", 1, 0);
        await eventually(
          async () => engine.journal.operations.list({ app: "shop", limit: 1 })[0],
          (newest) => newest?.kind === "halt" && newest.state === "failed",
        );
        engine.node.stop = stop;
        await eventually(
          async () => engine.journal.operations.list({ app: "shop", limit: 1 })[0],
          (newest) => newest?.kind === "restart" && newest.state === "done",
          5_000,
        );
      });
    }));

  test("and that a restart cannot start for a reason of the node's is not held, and started once it can be", () =>
    withRig(async (rig) => {
      await live(rig);
      await withEngine(rig, async ({ engine }) => {
        const { start } = engine.node;
        engine.node.start = () => Promise.reject(new NodeError("launcher-failed", "no more processes"));
        await engine.node.stop("shop", 1, 0);
        const newest = () => engine.journal.operations.list({ app: "shop", limit: 1 })[0];
        const failed = await eventually(
          async () => newest(),
          (operation) => operation?.kind === "restart" && operation.state === "failed",
        );
        expect(failed?.reason).toMatchObject({ code: "launcher-failed", message: "no more processes" });
        expect(engine.journal.apps.get("shop")?.hold).toBeUndefined();
        engine.node.start = start;
        await eventually(
          async () => newest(),
          (operation) => operation?.kind === "restart" && operation.state === "done",
          20_000,
        );
      });
    }));

  test("or not, goes on when its restart is aborted: nobody found that it does not come back", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", stable: 3_000 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const ended = await abortWhileJudged(rig, "restart");
      expect(ended).toMatchObject({ state: "failed", reason: { code: "aborted" } });
      const app = await rig.client.app("shop");
      expect(app).not.toHaveProperty("hold");
      expect(app.process).toBeDefined();
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test("or not, goes on where its restart finds a damaged layer: what cannot be started again is not stopped", () =>
    withRig(async (rig) => {
      await live(rig);
      for (const name of readdirSync(join(rig.state, "layers")).filter((one) => one.endsWith(".erofs"))) {
        const file = openSync(join(rig.state, "layers", name), "r+");
        writeSync(file, "damage", 8192);
        closeSync(file);
      }
      await rig.start();
      expect(await rig.operate("restart")).toMatchObject({ state: "failed", reason: { code: "image-damaged" } });
      expect(await rig.client.app("shop")).not.toHaveProperty("hold");
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test("and cannot be started again, since the node lacks what it takes, is neither held nor left: it comes back with that", () =>
    withRig(async (rig) => {
      await live(rig);
      const mend = breakLauncher(rig);
      await rig.start({ options: ["--on-sick", "rollback"] });
      process.kill((await rig.client.app("shop")).process?.pid ?? 0, "SIGKILL");
      const hindered = await eventually(
        () => rig.client.app("shop"),
        (app) => app.hindered !== undefined,
      );
      expect(hindered.hindered).toMatch(/bwrap/);
      await eventually(
        () => rig.client.changes({ app: "shop", limit: 20 }),
        ({ changes }) => changes.filter(({ kind, state }) => kind === "restart" && state === "failed").length === 3,
        20_000,
      );
      expect(await rig.client.app("shop")).not.toHaveProperty("hold");
      expect((await rig.client.health()).apps).toMatchObject([{ health: "unhealthy", hindered: hindered.hindered }]);
      expect(await rig.client.metrics()).toContain('\nhostd_app_hindered{app="shop"} 1\n');
      mend();
      const back = await eventually(
        () => rig.client.app("shop"),
        ({ health }) => health === "healthy",
        20_000,
      );
      expect(back).not.toHaveProperty("hindered");
      expect(await rig.client.metrics()).toContain('\nhostd_app_hindered{app="shop"} 0\n');
      expect(back.current).toMatchObject({ number: 1 });
    }));

  test("or not, goes on where the node lacks what apps are started with: no version is at fault for that", () =>
    withRig(async (rig) => {
      await live(rig);
      breakLauncher(rig);
      await rig.start();
      await rig.publish({ version: "1.1.0", stable: 100 });
      for (const verb of ["restart", "deploy"]) {
        const failed = await rig.operate(verb);
        expect(failed).toMatchObject({ state: "failed", reason: { code: "launcher-failed" } });
        expect(failed.notes.filter((note) => /quarantined|stopped/.test(note))).toEqual([]);
        expect(await rig.client.app("shop")).not.toHaveProperty("hold");
        expect(await rig.get("/version")).toBe("1.0.0");
      }
      expect((await rig.client.status()).quarantine).toEqual([]);
    }));
});

function told({ journal }: Engine): number {
  return journal.events.list({ app: "shop", limit: 1_000 }).filter(({ kind }) => kind === "app.sick").length;
}

/** No hostd that is started from now on, within this test, finds a bwrap that runs, until that is mended. */
function breakLauncher(rig: Rig): () => void {
  const path = process.env["PATH"] ?? "";
  const broken = join(rig.directory, "broken");
  mkdirSync(broken);
  writeFileSync(join(broken, "bwrap"), "#!/bin/sh\necho 'no such library' >&2; exit 127\n", { mode: 0o755 });
  process.env["PATH"] = `${broken}:${path}`;
  onTestFinished(() => {
    process.env["PATH"] = path;
  });
  return () => rmSync(broken, { recursive: true });
}

/** A version that is good, on a node whose hostd has ended. */
async function live(rig: Rig): Promise<void> {
  await rig.publish({ version: "1.0.0", stable: 100 });
  await rig.start();
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
  await rig.stop();
}
