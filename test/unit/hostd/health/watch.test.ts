import { expect, test } from "vitest";
import { openBoard } from "../../../../hostd/board.ts";
import type { Engine } from "../../../../hostd/engine.ts";
import { openWatch, staysSick } from "../../../../hostd/health/watch.ts";
import { APP_LABEL, appExample } from "../../../../manifests/app.ts";

const { job: _, ...service } = appExample;
const config = { config: { Labels: { [APP_LABEL]: JSON.stringify({ ...service, health: [] }) } } };

test.each(["the host", "an app"])(
  "a look at %s that fails is told, is no health, and is not the last one",
  async (what) => {
    const board = openBoard();
    const seen: unknown[] = [];
    const told: string[] = [];
    let isReadable = true;
    const engine = {
      board,
      log: (_level: string, message: string) => told.push(message),
      closing: new AbortController().signal,
      settings: { onSick: "report" },
      host: what === "the host" ? { machine: { booted: "1" } } : undefined,
      node: {
        async running() {
          if (!isReadable) throw new Error("disk I/O error");
          return [{ generation: 1 }];
        },
      },
      clock: {
        now: () => 0,
        async sleep() {
          seen.push(board.health("it"));
          isReadable = seen.length !== 2;
          if (seen.length === 4) watch.leave("it");
        },
      },
      journal: {
        apps: { get: () => ({ app: "it", current: 1 }) },
        operations: { unfinished: () => [] },
        generations: {
          get: () => ({}),
          require() {
            if (!isReadable) throw new Error("disk I/O error");
            return { image: "sha256:1" };
          },
        },
        slots: { hostApp: () => "it", require: () => ({ config }) },
      },
    };
    const watch = openWatch(() => engine as unknown as Engine);
    watch.follow("it");
    while (seen.length < 4) await new Promise((resolve) => setImmediate(resolve));
    await watch.close();
    const first = what === "the host" ? "healthy" : undefined; // an app has just been judged
    expect(seen).toEqual([first, "healthy", "unknown", "healthy"]);
    expect(told).toHaveLength(1);
  },
);

test.each([
  [["unhealthy", "unhealthy", "unhealthy", "unhealthy"], true],
  [["unhealthy", "unknown", "unhealthy", "unhealthy"], true],
  [["unhealthy", "unhealthy", "unknown", "healthy"], false],
  [["unhealthy", "judging"], false],
  [["unhealthy", undefined], false],
  [["unknown"], false],
  [["healthy"], false],
] as const)("an app that is %j, look after look: sick for good is %s", async (healths, expected) => {
  let looks = 0;
  const engine = {
    board: { health: () => healths[looks] },
    clock: { sleep: async () => void looks++ },
    journal: { generations: { require: () => ({}) }, slots: { require: () => ({ config }) } },
  };
  const { signal } = new AbortController();
  expect(await staysSick(engine as unknown as Engine, "it", 1, signal)).toBe(expected);
  expect(looks).toBe(healths.length - 1);
});
