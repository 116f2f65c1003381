import { existsSync, linkSync, rmSync } from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { renameDurably, syncDirectory, syncEach, temporaryNameOf } from "../../effects/durable.ts";
import { HostdError } from "../error.ts";
import { type JournalReport, removeDatabase, reportJournal } from "./copy.ts";
import { copyPath, restoringPath } from "./inspect.ts";
import { markPath } from "./mark.ts";

/**
 * Puts the copy in the place of a damaged journal, whose files stay beside it under another name. Refuses to give up a
 * journal that is sound, and, unless that is accepted, changes that the copy does not have. Answers where those are.
 * Each step is on the disk before the next: one that is cut short in between can be asked for again.
 */
export async function restoreJournal(
  journal: string,
  { acceptLoss, now }: { acceptLoss: boolean; now: Date },
): Promise<JournalReport & { kept: string }> {
  const report = reportJournal(journal);
  const { damage, copy } = report;
  if (damage === undefined) throw new HostdError("bad-request", `${journal} is sound: there is nothing to restore`);
  if (copy === undefined || copy.damage !== undefined) throw noCopy(journal, copy?.damage);
  if (copy.missing !== 0 && !acceptLoss) throw loss(copy);
  await copyDurably(copy.path, restoringPath(journal)); // from here until it has its place the journal counts as damaged
  const kept = keepFiles(journal, `${journal}.damaged-${now.toISOString().replaceAll(":", "").slice(0, 17)}`);
  await syncDirectory(dirname(journal));
  removeDatabase(journal, ["-wal", "-shm"]); // beside another database it would be taken for that one's
  await syncDirectory(dirname(journal));
  await renameDurably(restoringPath(journal), journal);
  rmSync(markPath(journal), { force: true }); // last: until then changes that the copy lacks are missed
  await syncDirectory(dirname(journal));
  return { ...report, kept };
}

/** Copies a file so that the other name is only ever that of a whole one, on the disk. */
async function copyDurably(from: string, to: string): Promise<void> {
  const temporary = temporaryNameOf(to);
  try {
    await copyFile(from, temporary);
    syncEach([temporary]);
    await renameDurably(temporary, to);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Gives the files of a journal a second name, which nothing has yet. */
function keepFiles(journal: string, wanted: string): string {
  const ends = ["", "-wal"];
  let kept = wanted;
  for (let next = 2; ends.some((end) => existsSync(kept + end)); next++) kept = `${wanted}-${next}`;
  for (const end of ends) if (existsSync(journal + end)) linkSync(journal + end, kept + end);
  return kept;
}

function noCopy(journal: string, damage: string | undefined): HostdError {
  const found = damage === undefined ? "found none" : `found one that is damaged: ${damage}`;
  return new HostdError("journal-damaged", `${copyPath(journal)}: expected a sound copy of the journal, ${found}`, {
    hint: "hostd reset --keep-data takes the node back to empty and leaves the apps' data",
  });
}

function loss({ until, missing }: NonNullable<JournalReport["copy"]>): HostdError {
  const lost = missing === undefined ? "an unknown number of changes" : `${missing} changes`;
  return new HostdError("journal-damaged", `the copy ends at ${until}: ${lost} after it would be forgotten`, {
    hint: "hostd journal restore --accept-loss, then reboot: what runs may be what it forgets",
  });
}
