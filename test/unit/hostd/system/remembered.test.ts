import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import type { HolderRecord } from "../../../../hostd/system/holder-protocol.ts";
import { parseStat } from "../../../../hostd/system/proc.ts";
import { toRunning } from "../../../../hostd/system/records.ts";
import { type RecordingLauncher, rememberRunning } from "../../../../hostd/system/remembered.ts";

const NOBODY = { pid: 0, start: 0 };

function recordOf(generation: number, app: HolderRecord["app"]): HolderRecord {
  return { generation, pid: app.pid, startedAt: "2026-11-27T20:00:00.000Z", init: NOBODY, app };
}

function startOf(pid: number): number {
  return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"))?.start ?? 0;
}

const alive = recordOf(2, { pid: process.pid, start: startOf(process.pid) });
const ended = {
  ...recordOf(1, { pid: 1, start: startOf(1) }),
  exited: { code: 0, at: "2026-11-27T20:00:00.000Z" },
};
/** No process has this number (pid_max is 2^22). */
const gone = recordOf(3, { pid: 2 ** 22 + 1, start: 7 });
/** Its pid was given to this process after it had ended. */
const replaced = recordOf(3, { pid: process.pid, start: startOf(process.pid) - 1 });

function counting(answers: readonly HolderRecord[]) {
  const asked: string[] = [];
  const launcher = {
    running: async (app: string) => {
      asked.push(app);
      return [...answers];
    },
    start: async () => alive,
    stop: async () => {},
    removeHolder: async () => {},
  } as unknown as RecordingLauncher;
  return { asked, launcher: rememberRunning(launcher) };
}

test("running is asked once while the same processes live, for each app by itself", async () => {
  const { asked, launcher } = counting([ended, alive]);
  for (let time = 0; time < 3; time++) expect(await launcher.running("shop")).toEqual([ended, alive].map(toRunning));
  await launcher.running("other");
  expect(asked).toEqual(["shop", "other"]);
});

test("a process that is gone, another by now, or not known yet, is asked about every time: only its parent knows how it ended", async () => {
  for (const one of [gone, replaced, recordOf(3, NOBODY)]) {
    const { asked, launcher } = counting([one]);
    await launcher.running("shop");
    await launcher.running("shop");
    expect(asked).toHaveLength(2);
  }
});

test("a process that has ended and was not waited for is gone", async () => {
  // its parent stands still, so that it stays a zombie
  const parent = spawn("sh", ["-c", "sleep 100 & echo $!; kill -STOP $$"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const pid = Number(await new Promise<Buffer>((resolve) => parent.stdout.once("data", resolve)));
    const { asked, launcher } = counting([recordOf(2, { pid, start: startOf(pid) })]);
    await launcher.running("shop");
    await launcher.running("shop");
    expect(asked).toHaveLength(1);
    await isIn("T", parent.pid ?? 0);
    process.kill(pid, "SIGKILL");
    await isIn("Z", pid);
    await launcher.running("shop");
    await launcher.running("shop");
    expect(asked).toHaveLength(3);
  } finally {
    parent.kill("SIGKILL");
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

/** Waits until a process is in a state of proc(5): T stopped, Z not waited for. */
async function isIn(state: string, pid: number): Promise<void> {
  const stat = () => readFileSync(`/proc/${pid}/stat`, "utf8");
  await vi.waitFor(() => expect(stat()).toContain(`) ${state} `), { timeout: 10_000 });
}
