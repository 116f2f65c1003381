import { hash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { HostdError } from "../../../../hostd/error.ts";
import { openDatabase } from "../../../../hostd/journal/database.ts";
import { inspectJournal } from "../../../../hostd/journal/inspect.ts";
import { readMark } from "../../../../hostd/journal/mark.ts";
import { fillJournal } from "../../../hostd/journals.ts";

const directory = mkdtempSync(join(tmpdir(), "ostler-journal-"));
const TABLES = ["apps", "operations", "steps", "locks", "quarantine", "events", "config_changes", "configs"];
const FILES = ["hostd.db", "hostd.db-wal", "hostd.db-mark"];

const RUNS = Number(process.env["RUNS"] ?? 150);

/** How a journal lies there: `ended`, all in one file; `killed`, what was written last in the log alone. */
const STATES = ["ended", "killed"] as const;

function place(name: string): string {
  return join(directory, name, "hostd.db");
}

function copyJournal(from: string, to: string): void {
  rmSync(join(directory, to), { recursive: true, force: true });
  mkdirSync(join(directory, to));
  for (const name of FILES) {
    const file = join(directory, from, name);
    if (existsSync(file)) copyFileSync(file, join(directory, to, name));
  }
}

/** All that a journal holds; an error where hostd does not open it. */
function contentOf(name: string): unknown {
  const database = openDatabase(place(name));
  try {
    return TABLES.map((table) => database.all(z.record(z.string(), z.unknown()), `SELECT * FROM ${table}`));
  } finally {
    database.close();
  }
}

/** The error with which a journal is refused for that reason. */
function refusalOf(damage: string) {
  return expect.objectContaining({ code: "journal-damaged", details: { damage } });
}

function flip(name: string, file: string, at: number, bit: number): void {
  const path = join(directory, name, file);
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  writeFileSync(path, bytes);
}

/** Bytes of the database that say which schema it has: another number is refused as another hostd's. */
function isSchemaNumber(file: string, at: number): boolean {
  return file === "hostd.db" && at >= 60 && at < 64;
}

/** Puts other bytes of the same length in the place of what a file of a journal holds, wherever it does. */
function alter(name: string, from: string, to: string): void {
  for (const file of FILES) {
    const path = join(directory, name, file);
    if (existsSync(path)) writeFileSync(path, readFileSync(path, "latin1").replaceAll(from, to), "latin1");
  }
}

/** Another thread that has a journal for some milliseconds. */
async function held(name: string, milliseconds: number): Promise<Worker> {
  const holder = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     const { DatabaseSync } = require("node:sqlite");
     const database = new DatabaseSync(workerData.path);
     database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT");
     parentPort.postMessage("held");
     setTimeout(() => database.close(), workerData.milliseconds);`,
    { eval: true, workerData: { path: place(name), milliseconds } },
  );
  await new Promise((resolve) => holder.once("message", resolve));
  return holder;
}

/** What a file holds, in short; an empty log is as good as none. */
function digestOf(name: string, file: string): string | undefined {
  const path = join(directory, name, file);
  const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  return bytes.length === 0 ? undefined : hash("sha256", bytes);
}

beforeAll(() => {
  for (const name of ["ended", "live"]) mkdirSync(join(directory, name));
  fillJournal(place("ended"), 40).close();
  const live = fillJournal(place("live"), 5);
  copyJournal("live", "killed"); // as kill -9 leaves it: nothing was checkpointed
  live.close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("a journal of which one byte changed on the disk", () => {
  test.each(STATES)("%s: is opened with the same content, or refused, and never with another content", (state) => {
    copyJournal(state, "sound");
    const sound = contentOf("sound");
    const sizes = FILES.map((file) => ({ file, path: join(directory, state, file) }))
      .filter(({ path }) => existsSync(path))
      .map(({ file, path }) => ({ file, size: readFileSync(path).length }));
    let refused = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...sizes).chain(({ file, size }) => fc.tuple(fc.constant(file), fc.nat(size - 1), fc.nat(7))),
        ([file, at, bit]) => {
          copyJournal(state, "damaged");
          flip("damaged", file, at, bit);
          const before = FILES.map((name) => digestOf("damaged", name));
          try {
            expect(contentOf("damaged")).toEqual(sound);
          } catch (error) {
            if (!(error instanceof HostdError)) throw error;
            if (!isSchemaNumber(file, at)) expect(error.code).toBe("journal-damaged");
            expect(FILES.map((name) => digestOf("damaged", name))).toEqual(before);
            refused += 1;
          }
        },
      ),
      { numRuns: RUNS },
    );
    expect(refused).toBeGreaterThan(RUNS / 10);
  });
});

describe("a look at a journal", () => {
  test("that is open finds in words what makes reading it fail", () => {
    copyJournal("ended", "damaged");
    const database = openDatabase(place("damaged"));
    const seal = database.one(z.object({ own: z.string() }), "SELECT own FROM seal");
    alter("damaged", seal?.own ?? "", "0".repeat(32));
    expect(database.findDamage()).toBe("the seal is not what was written");
    database.close();
  });

  test("that finds damage ends all writing: neither database, log nor mark changes any more, not at the end either", async () => {
    copyJournal("ended", "damaged");
    const database = openDatabase(place("damaged"));
    const write = () => database.run("INSERT INTO apps (app) VALUES ('one more')", []);
    write();
    const seal = database.one(z.object({ own: z.string() }), "SELECT own FROM seal");
    alter("damaged", seal?.own ?? "", "0".repeat(32));
    const before = FILES.map((name) => digestOf("damaged", name));
    expect(before).not.toContain(undefined);
    database.findDamage();
    const refusal = expect.objectContaining({
      code: "journal-damaged",
      message: expect.stringMatching(/the seal is not/),
    });
    expect(write).toThrow(refusal);
    expect(() => database.transaction(() => {})).toThrow(refusal);
    expect(() => database.later(write)).toThrow(refusal);
    await expect(database.copyTo(`${place("damaged")}.copy`)).rejects.toThrow(refusal);
    database.close();
    expect(FILES.map((name) => digestOf("damaged", name))).toEqual(before);
    expect(readdirSync(join(directory, "damaged"))).not.toContainEqual(expect.stringContaining(".damaged"));
    expect(() => contentOf("damaged")).toThrow(refusalOf("its last 1 changes are gone")); // and nobody holds it
  });

  test("that hostd has open takes nothing from it", () => {
    copyJournal("ended", "held");
    const database = openDatabase(place("held"));
    expect(() => inspectJournal(place("held"))).toThrow(/locked/);
    database.run("INSERT INTO apps (app) VALUES ('one more')", []);
    copyJournal("held", "left"); // as kill -9 leaves it
    database.close();
    expect(JSON.stringify(contentOf("left"))).toContain("one more");
  });

  test("that was hindered is made again before anything is written", async () => {
    copyJournal("ended", "damaged");
    fillJournal(place("damaged"), 1).close();
    copyFileSync(place("ended"), place("damaged"));
    const holder = await held("damaged", 600); // the first look waits half a second
    expect(() => contentOf("damaged")).toThrow(/its last \d+ changes are gone/);
    await holder.terminate();
  });
});

describe("a journal", () => {
  test("whose log lost its end is refused, and says how many changes are gone", () => {
    copyJournal("killed", "damaged");
    const log = join(directory, "damaged", "hostd.db-wal");
    writeFileSync(log, readFileSync(log).subarray(0, -4_000));
    expect(() => contentOf("damaged")).toThrow(refusalOf("its last 1 changes are gone"));
  });

  test("that is gone, or is an older copy, is refused", () => {
    copyJournal("ended", "damaged");
    rmSync(place("damaged"));
    expect(() => contentOf("damaged")).toThrow(refusalOf("it is gone"));
    expect(existsSync(place("damaged"))).toBe(false);
    copyFileSync(place("ended"), place("damaged"));
    const before = readMark(place("ended")) ?? 0;
    fillJournal(place("damaged"), 1).close();
    const gone = (readMark(place("damaged")) ?? 0) - before;
    expect(gone).toBeGreaterThan(1);
    copyFileSync(place("ended"), place("damaged"));
    expect(() => contentOf("damaged")).toThrow(refusalOf(`its last ${gone} changes are gone`));
  });

  test.each([0, 1, 2])(
    "that a kill and a power cut took later changes from is opened with all that was on the disk, after %i starts in between",
    (starts) => {
      copyJournal("ended", "running");
      const running = openDatabase(place("running"));
      running.run("INSERT INTO apps (app) VALUES ('on disk')", []);
      const changes = running.changes();
      const size = statSync(`${place("running")}-wal`).size;
      running.later(() => running.run("INSERT INTO apps (app) VALUES ('passing')", []));
      copyJournal("running", "killed-0"); // as kill -9 leaves it: in the page cache is all of it
      running.close();
      for (let start = 1; start <= starts; start++) {
        copyJournal(`killed-${start - 1}`, "started");
        const again = openDatabase(place("started"));
        expect(again.changes()).toBe(changes + 1);
        copyJournal("started", `killed-${start}`);
        again.close();
      }
      expect(readMark(place(`killed-${starts}`))).toBe(changes);
      copyJournal(`killed-${starts}`, "cut");
      truncateSync(`${place("cut")}-wal`, size);
      const content = JSON.stringify(contentOf("cut"));
      expect(content).toContain("on disk");
      expect(content).not.toContain("passing");
    },
  );

  test("of which later changes were followed by one that was on the disk is refused without them", () => {
    copyJournal("ended", "running");
    const running = openDatabase(place("running"));
    running.run("INSERT INTO apps (app) VALUES ('on disk')", []);
    const size = statSync(`${place("running")}-wal`).size;
    running.later(() => running.run("INSERT INTO apps (app) VALUES ('passing')", []));
    running.run("INSERT INTO apps (app) VALUES ('on disk with it')", []);
    copyJournal("running", "cut");
    running.close();
    truncateSync(`${place("cut")}-wal`, size);
    expect(() => contentOf("cut")).toThrow(refusalOf("its last 2 changes are gone"));
  });

  test("without its mark is opened: the mark is made anew with the next change", () => {
    copyJournal("ended", "unmarked");
    rmSync(`${place("unmarked")}-mark`);
    expect(contentOf("unmarked")).toEqual(contentOf("ended"));
    const database = openDatabase(place("unmarked"));
    database.run("INSERT INTO apps (app) VALUES ('one more')", []);
    expect(readMark(place("unmarked"))).toBe(database.changes());
    database.close();
  });

  test("that an older hostd wrote to, which knows no seal, is opened and sealed again", () => {
    copyJournal("ended", "older");
    const older = new DatabaseSync(place("older"));
    older.exec(
      "INSERT INTO events (id, at, kind, detail, previous, hash) SELECT max(id) + 1, at, 'hostd.started', '{}', hash, 'x' FROM events",
    );
    older.exec("UPDATE apps SET hold = 'by an older hostd'");
    older.close();
    expect(JSON.stringify(contentOf("older"))).toContain("by an older hostd");
    const altered = new DatabaseSync(place("older"));
    altered.exec("UPDATE apps SET hold = 'by nobody'");
    altered.close();
    expect(() => contentOf("older")).toThrow(refusalOf("a row is not what was written"));
  });

  test("counts nothing of a transaction that was taken back, nor of a statement that failed in one", () => {
    const path = place("counted");
    mkdirSync(join(directory, "counted"));
    const database = openDatabase(path);
    const insert = (app: string) => database.run("INSERT INTO apps (app) VALUES (?)", [app]);
    insert("one");
    expect(() =>
      database.transaction(() => {
        insert("two");
        throw new Error("no");
      }),
    ).toThrow("no");
    database.transaction(() => {
      insert("three");
      expect(() => insert("one")).toThrow(/UNIQUE/);
    });
    expect(database.findDamage()).toBeUndefined();
    database.close();
    expect(contentOf("counted")).toMatchObject([[{ app: "one" }, { app: "three" }], ...Array(7).fill([])]);
  });
});
