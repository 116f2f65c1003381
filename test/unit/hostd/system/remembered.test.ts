import { expect, test } from "vitest";
import type { Launcher } from "../../../../hostd/system/launcher.ts";
import type { Running } from "../../../../hostd/system/node.ts";
import { rememberRunning } from "../../../../hostd/system/remembered.ts";

const alive: Running = { generation: 2, pid: process.pid, startedAt: "2026-11-27T20:00:00.000Z" };
const ended: Running = { ...alive, generation: 1, pid: 1, exited: { code: 0, at: "2026-11-27T20:00:00.000Z" } };
/** No process has this number (pid_max is 2^22). */
const gone: Running = { ...alive, generation: 3, pid: 2 ** 22 + 1 };

function counting(answers: readonly Running[]) {
  const asked: string[] = [];
  const launcher = {
    running: async (app: string) => {
      asked.push(app);
      return [...answers];
    },
    start: async () => alive,
    stop: async () => {},
    removeHolder: async () => {},
  } as unknown as Launcher;
  return { asked, launcher: rememberRunning(launcher) };
}

test("running is asked once while the same processes live, for each app by itself", async () => {
  const { asked, launcher } = counting([ended, alive]);
  for (let time = 0; time < 3; time++) expect(await launcher.running("shop")).toEqual([ended, alive]);
  await launcher.running("other");
  expect(asked).toEqual(["shop", "other"]);
});

test("a process that is gone, or not known yet, is asked about every time: only its parent knows how it ended", async () => {
  for (const one of [gone, { ...alive, pid: 0 }]) {
    const { asked, launcher } = counting([one]);
    await launcher.running("shop");
    await launcher.running("shop");
    expect(asked).toHaveLength(2);
  }
});

test.each(["start", "stop", "removeHolder"] as const)("%s makes it ask again", async (change) => {
  const { asked, launcher } = counting([alive]);
  await launcher.running("shop");
  await (launcher[change] as (...given: unknown[]) => Promise<unknown>)(change === "start" ? { app: "shop" } : "shop");
  await launcher.running("shop");
  expect(asked).toHaveLength(2);
});

test("an answer that was asked for before a start is not kept after it", async () => {
  const { asked, launcher } = counting([alive]);
  const before = launcher.running("shop");
  await launcher.stop("shop", 2, 0);
  await before;
  await launcher.running("shop");
  expect(asked).toHaveLength(2);
});
