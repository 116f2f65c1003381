import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { reportJournal } from "../../../../hostd/journal/copy.ts";
import { restoreJournal } from "../../../../hostd/journal/restore.ts";
import { fillJournal, journalAt } from "../../../hostd/journals.ts";
import { describeWith } from "../../../needs.ts";

const RESTORE = join(import.meta.dirname, "../../../../hostd/journal/restore.ts");
const NOW = "2026-11-28T01:02:03Z";
const KEPT = "hostd.db.damaged-2026-11-28T010203";
const options = { acceptLoss: true, now: new Date(NOW) };
const top = mkdtempSync(join(tmpdir(), "ostler-restore-"));
const sound = join(top, "sound");

/** Ways in which a sound journal is damaged; its copy lacks its last change. */
const DAMAGES = {
  "in a row": (directory: string) => alter(join(directory, "hostd.db")).close(),
  "in its log, and without its mark": (directory: string) => {
    const aside = mkdtempSync(join(top, "aside-"));
    copyFileSync(join(directory, "hostd.db"), join(aside, "hostd.db"));
    const database = alter(join(aside, "hostd.db"));
    copyFileSync(join(aside, "hostd.db-wal"), join(directory, "hostd.db-wal")); // as kill -9 leaves it
    database.close();
    rmSync(join(directory, "hostd.db-mark"));
  },
  "in that it is gone": (directory: string) => rmSync(join(directory, "hostd.db")),
  "in that it is gone, and its mark with it": (directory: string) => {
    for (const name of ["hostd.db", "hostd.db-mark"]) rmSync(join(directory, name));
  },
};
/** What changes anything on the disk. */
const CALLS = ["copy_file_range", "link", "unlink", "rename"];
type How = keyof typeof DAMAGES;
const HOWS = Object.keys(DAMAGES) as How[];

/** Changes rows of which the seal knows nothing. */
function alter(journal: string): DatabaseSync {
  const database = new DatabaseSync(journal);
  database.exec("UPDATE apps SET hold = 'by nobody'");
  return database;
}

/** A damaged journal in a directory of its own, and what its files held. */
function damaged(how: How): { journal: string; lost: Buffer[] } {
  const directory = mkdtempSync(join(top, "node-"));
  cpSync(sound, directory, { recursive: true });
  DAMAGES[how](directory);
  const files = ["hostd.db", "hostd.db-wal"].map((name) => join(directory, name)).filter((file) => existsSync(file));
  return { journal: join(directory, "hostd.db"), lost: files.map((file) => readFileSync(file)) };
}

function isWhole(journal: string): boolean {
  return existsSync(journal) && readFileSync(journal).equals(readFileSync(`${journal}.copy`));
}

/** Names beside a journal of what was kept of damaged ones. */
function keptOf(journal: string): string[] {
  return readdirSync(dirname(journal)).filter((name) => name.startsWith("hostd.db.damaged-"));
}

/** Restores in a process of its own, below strace. */
function traced(journal: string, trace: string[]) {
  const script = `import { restoreJournal } from ${JSON.stringify(RESTORE)};
    await restoreJournal(${JSON.stringify(journal)}, { acceptLoss: true, now: new Date("${NOW}") });`;
  const node = [process.execPath, "--disable-warning=ExperimentalWarning", "--input-type=module", "-e", script];
  const calls = ["-e", `trace=fsync,${CALLS.join(",")}`];
  return spawnSync("strace", ["-f", "-qq", "-o", "/dev/null", ...calls, ...trace, ...node], {
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
  });
}

beforeAll(async () => {
  mkdirSync(sound);
  const journal = fillJournal(join(sound, "hostd.db"), 3);
  await journal.copy();
  copyFileSync(join(sound, "hostd.db-mark"), join(top, "mark-of-copy"));
  journal.events.append("hostd.started", {});
  journal.close();
});
afterAll(() => rmSync(top, { recursive: true, force: true }));

describeWith({ programs: ["strace"] }, "a restore of the journal", () => {
  test.each(HOWS)(
    "that is damaged %s, killed before any call, can be asked for again and loses nothing",
    async (how) => {
      let kills = 0;
      for (const call of CALLS) {
        for (let nth = 1; ; nth++) {
          const { journal, lost } = damaged(how);
          const { status, signal } = traced(journal, ["-e", `inject=${call}:signal=SIGKILL:when=${nth}`]);
          if (status === 0) break;
          expect({ call, nth, signal }).toEqual({ call, nth, signal: "SIGKILL" });
          kills += 1;
          if (!isWhole(journal)) expect(() => journalAt(journal)).toThrow(/is damaged/);
          if (reportJournal(journal).damage !== undefined) await restoreJournal(journal, options);
          expect(isWhole(journal)).toBe(true);
          const kept = keptOf(journal).map((name) => readFileSync(join(dirname(journal), name)).toString("latin1"));
          for (const file of lost) expect(kept).toContain(file.toString("latin1"));
          journalAt(journal).close();
        }
      }
      expect(kills).toBeGreaterThan(CALLS.length);
    },
  );

  test("has each step on the disk before the next", () => {
    const { journal } = damaged("in its log, and without its mark");
    copyFileSync(join(sound, "hostd.db-mark"), `${journal}-mark`);
    const trace = join(top, "trace");
    expect(traced(journal, ["-o", trace]).status).toBe(0);
    const calls = [...readFileSync(trace, "utf8").matchAll(/\b(fsync|link|unlink|rename)\([^)]*/g)].map(([call]) =>
      call.replace(/\(.*\/hostd\.db/, " ").replaceAll(/\(\d+|"/g, ""),
    );
    expect(calls.filter((call) => !call.includes(".copy"))).toEqual([
      ...["fsync", "rename .restoring", "fsync"],
      ...[`link ${KEPT.slice(8)}`, `link ${KEPT.slice(8)}-wal`, "fsync"],
      ...["unlink -wal", "unlink -shm", "fsync"],
      ...["rename ", "fsync"],
      ...["unlink -mark", "fsync"],
    ]);
  });
});

test("a restore within the same second keeps what is damaged under a name of its own", async () => {
  const { journal } = damaged("in a row");
  const first = readFileSync(journal);
  expect((await restoreJournal(journal, options)).kept).toBe(join(dirname(journal), KEPT));
  alter(journal).close();
  expect((await restoreJournal(journal, options)).kept).toBe(join(dirname(journal), `${KEPT}-2`));
  expect(keptOf(journal)).toEqual(expect.arrayContaining([KEPT, `${KEPT}-2`]));
  expect(readFileSync(join(dirname(journal), KEPT)).equals(first)).toBe(true);
  expect(isWhole(journal)).toBe(true);
});

test("a mark that lags behind the journal hides no change that the copy lacks", async () => {
  const { journal } = damaged("in a row");
  copyFileSync(join(top, "mark-of-copy"), `${journal}-mark`);
  expect(reportJournal(journal).copy).toMatchObject({ missing: 1 });
  await expect(restoreJournal(journal, { ...options, acceptLoss: false })).rejects.toThrow(/1 changes after it/);
});

test("a restore that cannot lay the copy beside the journal leaves it as it was", async () => {
  const { journal } = damaged("in a row");
  const before = readFileSync(journal);
  mkdirSync(`${journal}.restoring`); // nothing can be renamed to it
  await expect(restoreJournal(journal, options)).rejects.toThrow(/EISDIR/);
  expect(readFileSync(journal).equals(before)).toBe(true);
  expect(keptOf(journal)).toEqual([]);
});
