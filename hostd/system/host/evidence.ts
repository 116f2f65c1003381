import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../../effects/errno.ts";
import { run } from "../../../effects/process.ts";

/** Bytes of a boot's journal, and of what the kernel left of its end, that are kept. */
const JOURNAL_LIMIT = 256 * 1024;
const RECORD_LIMIT = 64 * 1024;
const LINES = 2_000;

/** Where the kernel's last words lie: as the firmware keeps them, and where systemd-pstore moves them. */
const PLACES = ["sys/fs/pstore", "var/lib/systemd/pstore"];

/** What a boot left behind that ended without saying so itself. */
export interface BootEvidence {
  /** Names of kernel records (pstore) that are there; told by name, since clocks may be wrong. */
  records(): Promise<string[]>;
  readRecords(names: readonly string[]): Promise<string>;
  /** The end of a boot's journal; empty where nothing of it reached the disk. */
  journalOf(boot: string): Promise<string>;
  /** What hostd and the guard of its exchange wrote in a boot, and what the service manager said of them. */
  journalOfHostd(boot: string): Promise<string>;
  /** The journal of the boot that followed one, unless that is the present one. */
  journalAfter(boot: string, present: string): Promise<string>;
}

export function openEvidence(root: string): BootEvidence {
  return {
    async records() {
      const found = await Promise.all(PLACES.map((place) => filesBelow(root, place)));
      return found.flat().sort();
    },
    async readRecords(names) {
      const texts = await Promise.all(names.map((name) => unlessMissing(readFile(join(root, name)))));
      return Buffer.concat(texts.flatMap((text) => text ?? []))
        .subarray(-RECORD_LIMIT)
        .toString();
    },
    journalOf: (boot) => readJournal(toJournalId(boot)),
    journalOfHostd: (boot) => readJournal(toJournalId(boot), ["hostd.service", "hostd-exchange.service"]),
    async journalAfter(boot, present) {
      const boots = await bootsInJournal();
      const next = boots[boots.indexOf(toJournalId(boot)) + 1];
      return next === undefined || next === toJournalId(present) ? "" : await readJournal(next);
    },
  };
}

async function filesBelow(root: string, place: string): Promise<string[]> {
  const entries = await unlessMissing(readdir(join(root, place), { recursive: true, withFileTypes: true }));
  return (entries ?? [])
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length).replace(/^\/+/, ""));
}

/** Boots that the journal knows, oldest first. */
async function bootsInJournal(): Promise<string[]> {
  const asked = ["journalctl", "--list-boots", "--no-pager", "--quiet"];
  const { stdout } = await run(asked, { timeout: 30_000 }).catch(() => ({ stdout: "" }));
  return stdout.split("\n").flatMap((line) => /^\s*-?\d+\s+([0-9a-f]{32})\s/.exec(line)?.[1] ?? []);
}

/** The kernel writes a boot's id with dashes, the journal without. */
function toJournalId(boot: string): string {
  return boot.replaceAll("-", "");
}

async function readJournal(boot: string, units: readonly string[] = []): Promise<string> {
  const asked = [
    "journalctl",
    `--boot=${boot}`,
    ...units.map((unit) => `--unit=${unit}`),
    `--lines=${LINES}`,
    "--output=short-monotonic",
    "--no-pager",
    "--quiet",
  ];
  const { stdout } = await run(asked, { timeout: 30_000 }).catch(() => ({ stdout: "" }));
  return Buffer.from(stdout).subarray(-JOURNAL_LIMIT).toString();
}
