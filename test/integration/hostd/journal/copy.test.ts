import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay, setImmediate } from "node:timers/promises";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { reportJournal } from "../../../../hostd/journal/copy.ts";
import { beginOne, fillJournal } from "../../../hostd/journals.ts";

const top = mkdtempSync(join(tmpdir(), "ostler-copy-"));
let directory = top;
let journal = "";
let number = 0;

beforeEach(() => {
  directory = join(top, `node-${number++}`);
  mkdirSync(directory);
  journal = join(directory, "hostd.db");
});
afterAll(() => rmSync(top, { recursive: true, force: true }));

/** Names beside the journal that begin so. */
function files(beginning: string): string[] {
  return readdirSync(directory).filter((name) => name.startsWith(beginning));
}

/** What is told of a sound copy that lacks nothing. */
function whole() {
  return { path: `${journal}.copy`, until: "2026-11-27T08:00:00.000Z", missing: 0 };
}

test("a report of a journal is refused where there never was one, and while hostd has it", () => {
  expect(() => reportJournal(journal)).toThrow(/hostd\.db: expected the journal of a node, found nothing/);
  const open = fillJournal(journal, 1);
  const held = { code: "already-running", hint: expect.stringContaining("verified when hostd started") };
  expect(() => reportJournal(journal)).toThrow(expect.objectContaining(held));
  open.close();
});

describe("the copy of a journal", () => {
  test("that is asked for twice at once is made one after the other, and has all of it", async () => {
    const open = fillJournal(journal, 40);
    const first = open.copy();
    await setImmediate();
    open.events.append("hostd.started", {});
    await Promise.all([first, open.copy()]);
    open.close();
    expect(reportJournal(journal)).toEqual({ journal, copy: whole() });
    expect(files("hostd.db.copy")).toEqual(["hostd.db.copy"]);
  });

  test("is not made while an operation is under way", async () => {
    const open = fillJournal(journal, 1);
    const { id } = beginOne(open, "under way");
    await open.copy();
    expect(files("hostd.db.copy")).toEqual([]);
    open.operations.finish(id);
    await open.copy();
    expect(files("hostd.db.copy")).toEqual(["hostd.db.copy"]);
    open.close();
  });

  test("is given up where an operation begins meanwhile: the old one stays", async () => {
    const open = fillJournal(journal, 400);
    await open.copy();
    const old = readFileSync(`${journal}.copy`);
    open.events.append("hostd.started", {});
    const copying = open.copy();
    while (!existsSync(`${journal}.copy.coming`)) await setImmediate();
    const { id } = beginOne(open, "begun meanwhile");
    await copying;
    expect(readFileSync(`${journal}.copy`).equals(old)).toBe(true);
    expect(files("hostd.db.copy")).toEqual(["hostd.db.copy"]);
    open.operations.finish(id);
    await open.copy();
    expect(readFileSync(`${journal}.copy`).equals(old)).toBe(false);
    open.close();
  });

  test("is made while changes are written one after the other", async () => {
    const open = fillJournal(journal, 1);
    for (let copies = 0; copies < 200; copies++) {
      let isCopied = false;
      open.events.append("hostd.started", {});
      const copying = open.copy().finally(() => {
        isCopied = true;
      });
      while (!isCopied) {
        open.events.append("hostd.started", {});
        await delay(1); // a writer that never pauses may keep a copy from its begin for ever
      }
      await copying;
    }
    open.close();
    expect(reportJournal(journal).copy).toMatchObject({ path: `${journal}.copy` });
    expect(reportJournal(journal).copy?.damage).toBeUndefined();
  });

  test("that cannot be made leaves nothing half made", async () => {
    const open = fillJournal(journal, 1);
    mkdirSync(`${journal}.copy`); // nothing can be renamed to it
    await expect(open.copy()).rejects.toThrow(/EISDIR/);
    expect(files("hostd.db.copy")).toEqual(["hostd.db.copy"]);
    rmSync(`${journal}.copy`, { recursive: true });
    await open.copy();
    open.close();
    expect(reportJournal(journal)).toEqual({ journal, copy: whole() });
  });

  test("is not sound where it is empty", () => {
    fillJournal(journal, 1).close();
    writeFileSync(`${journal}.copy`, "");
    expect(reportJournal(journal).copy).toEqual({ path: `${journal}.copy`, damage: "it is empty" });
  });
});
