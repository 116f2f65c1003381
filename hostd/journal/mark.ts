import { hash } from "node:crypto";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { hasErrno } from "../../effects/errno.ts";

/**
 * How many transactions a journal had, in a file beside it: SQLite takes a damaged end of its log for one that a power
 * cut left, and goes on without it. Written after each commit that is on the disk, and not synced, so that it may lag
 * behind after a power cut, and is never ahead of what is on the disk.
 */
export interface Mark {
  write(changes: number): void;
  close(): void;
}

const WIDTH = 16;

export function openMark(journal: string): Mark {
  if (journal === ":memory:") return { write() {}, close() {} };
  const file = openSync(markPath(journal), "a+", 0o600);
  closeSync(file);
  const descriptor = openSync(markPath(journal), "r+");
  return {
    write(changes) {
      try {
        writeSync(descriptor, textOf(changes), 0);
      } catch (error) {
        if (!hasErrno(error, "ENOSPC", "EDQUOT", "EROFS", "EIO")) throw error; // one that lags behind refuses less
      }
    },
    close: () => closeSync(descriptor),
  };
}

/** What the mark of a journal says; undefined where there is none, or none that can be believed. */
export function readMark(journal: string): number | undefined {
  if (journal === ":memory:") return undefined;
  try {
    const text = readFileSync(markPath(journal), "utf8");
    const changes = Number(text.split(" ")[0]);
    return Number.isInteger(changes) && text === textOf(changes) ? changes : undefined;
  } catch (error) {
    if (hasErrno(error, "ENOENT", "EIO")) return undefined;
    throw error;
  }
}

export function markPath(journal: string): string {
  return `${journal}-mark`;
}

function textOf(changes: number): string {
  const digits = String(changes).padStart(WIDTH, "0");
  return `${digits} ${hash("sha256", digits).slice(0, WIDTH)}\n`;
}
