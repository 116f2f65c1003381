import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const root = join(import.meta.dirname, "../../..");
const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup", "setpriv"] };

/** Most memory of an idle hostd, kB: 60 MB, and room for an app that is checked ten times a second and for callers. */
const IDLE_LIMIT = 64 * 1024;

/** V8 gives back what the start took some seconds after it, milliseconds. */
const SETTLED = 20_000;

describeWith(NEEDS, "the bundle", () => {
  const directory = mkdtempSync(join(tmpdir(), "bundle-"));
  const dist = join(directory, "dist");
  const hostd = join(dist, "hostd");
  const make = (target: string) => execFileSync(process.execPath, [join(root, "bundle.ts"), target]);

  beforeAll(() => {
    make(dist);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test("the same sources make the same bytes", () => {
    const again = join(directory, "again");
    make(again);
    const differs = (name: string) => !readFileSync(join(again, name)).equals(readFileSync(join(dist, name)));
    expect(readdirSync(again)).toEqual(readdirSync(dist));
    expect(readdirSync(again).filter(differs)).toEqual([]);
  });

  test("it has no fault points, and needs nothing of this repository", () => {
    const elsewhere = mkdtempSync(join(directory, "elsewhere-"));
    cpSync(dist, elsewhere, { recursive: true });
    const text = readFileSync(join(elsewhere, "hostd.cjs"), "utf8");
    expect(text).not.toContain("hostd.moment");
    expect(text).not.toContain(root);
    const { stdout } = spawnSync(join(elsewhere, "hostd"), ["openapi"], { cwd: "/", env: {}, encoding: "utf8" });
    expect(JSON.parse(stdout)).toMatchObject({ openapi: "3.1.0" });
    const unit = spawnSync(join(elsewhere, "hostd"), ["unit", "--repository", "/srv"], {
      cwd: "/",
      env: {},
      encoding: "utf8",
    });
    expect(unit.stdout).toContain(`ExecStart="${join(elsewhere, "hostd")}" "serve"`);
  });

  test.skipIf(!existsSync("/usr/bin/node"))("another Node is named before anything runs", () => {
    const { status, stderr } = spawnSync("/usr/bin/node", [join(dist, "hostd.cjs"), "--help"], { encoding: "utf8" });
    const same = execFileSync("/usr/bin/node", ["--version"]).toString().startsWith("v24.");
    expect([status, stderr.includes("expected Node 24")]).toEqual(same ? [0, false] : [1, true]);
  });

  test("with no app it is not woken, and takes less than 60 MB", () =>
    withRig(
      async (rig) => {
        await rig.start();
        await rig.kill();
        await rig.start(); // the first start of a node has what verified its trusted root in memory, no later one
        await delay(SETTLED);
        const before = switchesOf(rig.pid());
        await delay(10_000);
        expect(switchesOf(rig.pid()) - before).toBe(0);
        expect(residentOf(rig.pid())).toBeLessThan(60 * 1024);
      },
      { program: hostd },
    ));

  test("it serves, stages, activates, goes back, and is small when it is idle", () =>
    withRig(
      async (rig) => {
        await rig.start();
        await rig.publish({ version: "1.0.0" });
        expect(await rig.operate("stage")).toMatchObject({ state: "done" });
        expect(await rig.operate("activate")).toMatchObject({ state: "done" });
        await rig.publish({ version: "2.0.0" });
        expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
        expect(await rig.get("/version")).toBe("2.0.0");
        expect(await rig.operate("rollback")).toMatchObject({ state: "done" });
        expect(await rig.get("/version")).toBe("1.0.0");
        await rig.kill();
        await rig.start();
        expect((await rig.client.app("shop")).current).toMatchObject({ version: "1.0.0" });
        await delay(SETTLED);
        expect(residentOf(rig.pid())).toBeLessThan(IDLE_LIMIT);
        expect(await rig.stop()).toBe(0);
      },
      { program: hostd },
    ));
});

function residentOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** Context switches of all threads since they began. */
function switchesOf(pid: number): number {
  const texts = readdirSync(`/proc/${pid}/task`).map((id) => readFileSync(`/proc/${pid}/task/${id}/status`, "utf8"));
  const counts = texts.flatMap((text) =>
    [...text.matchAll(/ctxt_switches:\s+(\d+)/g)].map(([, count]) => Number(count)),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
