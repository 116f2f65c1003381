import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withTemporaryDirectory } from "../../../../effects/temporary.ts";
import { adoptData, KEPT_DATA, keepData } from "../../../../hostd/data/kept.ts";
import { type Journal, openJournal } from "../../../../hostd/journal/journal.ts";

/** A journal that may know of data of `shop`. */
function journal(data?: { format: number; version?: string }): Journal {
  const opened = openJournal(":memory:", () => new Date("2026-11-28T12:00:00Z"));
  if (data !== undefined) opened.apps.adoptData("shop", data);
  return opened;
}

test("keepData and adoptData take what the data is from one journal to the next, once", () =>
  withTemporaryDirectory(tmpdir(), async (state) => {
    expect(await keepData(state, journal({ format: 2, version: "before-g2-op5" }))).toBe(true);
    const next = journal();
    await adoptData(state, next);
    expect(next.apps.list()).toMatchObject([{ app: "shop", data_format: 2, data_version: "before-g2-op5" }]);
    expect(existsSync(join(state, KEPT_DATA))).toBe(false);
    await adoptData(state, next);
    expect(next.apps.list()).toHaveLength(1);
  }));

test("keepData keeps what it wrote first: the journal that a reset was cut short in may have lost its end", () =>
  withTemporaryDirectory(tmpdir(), async (state) => {
    await keepData(state, journal({ format: 2 }));
    expect(await keepData(state, journal({ format: 1 }))).toBe(true);
    expect(await keepData(state, undefined)).toBe(true);
    const next = journal();
    await adoptData(state, next);
    expect(next.apps.get("shop")).toMatchObject({ data_format: 2 });
  }));

test("keepData says that nothing is known where no journal can be read", () =>
  withTemporaryDirectory(tmpdir(), async (state) => {
    expect(await keepData(state, undefined)).toBe(false);
    expect(existsSync(join(state, KEPT_DATA))).toBe(false);
  }));

test("adoptData leaves what a journal knows itself", () =>
  withTemporaryDirectory(tmpdir(), async (state) => {
    await keepData(state, journal({ format: 1 }));
    const knows = journal({ format: 3 });
    await adoptData(state, knows);
    expect(knows.apps.get("shop")).toMatchObject({ data_format: 3 });
  }));
