import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../needs.ts";
import { openShared, openWorkshop, type Shared, type Workshop } from "./workshop.ts";

/** Tells this file's own sleeping processes from any other. */
const SECONDS = String(50_000 + (process.pid % 10_000));
const SLEEPY = `FROM MINI\nRUN touch /first\nRUN --mount=type=cache,target=/c touch /c/started /half && sleep ${SECONDS}\n`;

describeWith({ root: true, programs: ["bwrap", "getfattr", "zstd"] }, "a build that is stopped", () => {
  let shared: Shared;
  beforeAll(async () => {
    shared = await openShared();
  });
  afterAll(() => shared.remove());

  /** Nothing of a build may be found on the machine afterwards. */
  async function expectNothingLeft(workshop: Workshop): Promise<void> {
    const left = () => [
      ...readFileSync("/proc/self/mountinfo", "utf8")
        .split("\n")
        .filter((line) => line.includes(workshop.home)),
      ...processesNaming(workshop.home),
      ...processesNaming(`sleep\0${SECONDS}`),
    ];
    await until(() => left().length === 0, 5);
    expect(left()).toEqual([]);
  }

  test.each(["SIGKILL", "SIGTERM", "SIGINT"] as const)(
    "%s leaves no process, no mount and no half result",
    async (signal) => {
      const workshop = openWorkshop(shared, `kill-${signal}`);
      const child = startBuild(workshop, SLEEPY);
      const cacheMounts = join(workshop.home, "cache/mounts");
      await until(
        () =>
          existsSync(cacheMounts) &&
          readdirSync(cacheMounts).some((id) => existsSync(join(cacheMounts, id, "files/started"))),
      );
      child.kill(signal);
      await new Promise((resolve) => child.once("close", resolve));
      await expectNothingLeft(workshop);
      const after = await workshop.build(SLEEPY.replace(`sleep ${SECONDS}`, "true"));
      expect(after.steps.map((step) => step.cached)).toEqual([true, false]);
      expect(readdirSync(join(workshop.home, "cache/work"))).toEqual([]);
    },
  );

  test("an abort signal ends the step, says so, and keeps what was finished", async () => {
    const workshop = openWorkshop(shared, "abort");
    const tags = readFileSync(join(workshop.home, "store/index.json"), "utf8");
    const controller = new AbortController();
    const building = workshop.build(SLEEPY, { signal: controller.signal });
    setTimeout(() => controller.abort(), 1500);
    await expect(building).rejects.toMatchObject({ code: "interrupted" });
    await expectNothingLeft(workshop);
    expect(readdirSync(join(workshop.home, "cache/work"))).toEqual([]);
    expect(readFileSync(join(workshop.home, "store/index.json"), "utf8")).toBe(tags);
  });

  test("killed at any moment, the next build is right: the same image as one that was left alone", async () => {
    const recipe =
      "FROM MINI\nCOPY src/ /src/\nRUN ls /src > /list && seq 1000 > /numbers\nRUN rm /list\nCOPY src/a /b\n";
    const alone = openWorkshop(shared, "alone");
    alone.write("src/a", "a\n");
    const expected = (await alone.build(recipe)).descriptor;
    const workshop = openWorkshop(shared, "killed");
    workshop.write("src/a", "a\n");
    for (let round = 0; round < 12; round++) {
      const child = startBuild(workshop, recipe);
      await Promise.race([sleep(150 + round * 45), new Promise((resolve) => child.once("close", resolve))]);
      child.kill("SIGKILL");
      await new Promise((resolve) =>
        child.exitCode === null && child.signalCode === null ? child.once("close", resolve) : resolve(undefined),
      );
    }
    expect((await workshop.build(recipe)).descriptor).toEqual(expected);
    await expectNothingLeft(workshop);
  });

  test("a full disk is said as such, and leaves nothing half done", async () => {
    const workshop = openWorkshop(shared, "full", join(shared.directory, "small"));
    mkdirSync(workshop.home);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", workshop.home]);
    try {
      await workshop.build("FROM MINI\n");
      const building = workshop.build("FROM MINI\nRUN seq 100000000 > /large\n");
      await expect(building).rejects.toMatchObject({ code: "disk-full", hint: expect.stringContaining("--home") });
      expect(readdirSync(join(workshop.home, "cache/work"))).toEqual([]);
      workshop.write("large", "x".repeat(70_000_000));
      const copying = workshop.build("FROM MINI\nCOPY large /large\n");
      await expect(copying).rejects.toMatchObject({ code: "disk-full" });
      const after = await workshop.build("FROM MINI\nRUN touch /small\n");
      expect(after.layers.map(({ section }) => section)).toEqual(["base", "bootstrap"]);
    } finally {
      execFileSync("umount", [workshop.home]);
      rmSync(join(workshop.directory, "large"), { force: true });
    }
  });

  function startBuild(workshop: Workshop, recipe: string) {
    writeFileSync(workshop.recipe, recipe.replaceAll("MINI", `tar:${shared.tar}`));
    const main = join(import.meta.dirname, "../../../cli/main.ts");
    return spawn(process.execPath, [main, "build", workshop.recipe, "--home", workshop.home, "--progress", "plain"], {
      stdio: "ignore",
    });
  }
});

function processesNaming(text: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(text);
    } catch {
      return false;
    }
  });
}

async function until(condition: () => boolean, seconds = 30): Promise<void> {
  for (let tries = 0; tries < seconds * 20; tries++) {
    if (condition()) return;
    await sleep(50);
  }
  throw new Error(`expected it to come about within ${seconds} s`);
}
