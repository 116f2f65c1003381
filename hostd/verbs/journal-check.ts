import { join, resolve } from "node:path";
import { EXIT_CODES } from "../../manifests/failure.ts";
import type { OptionSpec, Verb } from "../../terminal/verb.ts";
import { type JournalReport, reportJournal } from "../journal/copy.ts";
import { text } from "./answer.ts";

/** Verbs of the journal read its files, since a hostd that cannot believe them answers nothing else. */
export const STATE_OPTION: OptionSpec = {
  flags: "--state <dir>",
  summary: "what survives a reboot",
  default: "/var/lib/hostd",
};

export const verb: Verb = {
  name: "journal check",
  summary: "verify the journal and its copy, byte for byte; changes nothing",
  options: [STATE_OPTION],
  examples: ["hostd journal check"],
  async run({ options }) {
    const report = reportJournal(journalIn(options["state"]));
    const exitCode = report.damage === undefined ? EXIT_CODES.ok : EXIT_CODES.failed;
    return { json: { schema: 1, ...report }, text: showReport(report), exitCode };
  },
};

export function journalIn(state: unknown): string {
  return join(resolve(text(state) ?? ""), "hostd.db");
}

export function showReport({ journal, damage, copy }: JournalReport): string {
  const lines = [`${journal}: ${damage === undefined ? "sound" : `damaged: ${damage}`}`];
  if (copy === undefined) lines.push("no copy of it is here");
  else if (copy.damage !== undefined) lines.push(`${copy.path}: damaged: ${copy.damage}`);
  else lines.push(`${copy.path}: sound, up to ${copy.until}, ${missingIn(copy.missing)}`);
  if (damage !== undefined && copy?.damage === undefined && copy !== undefined)
    lines.push("hint: hostd journal restore");
  return lines.join("\n");
}

function missingIn(missing: number | undefined): string {
  if (missing === undefined) return "how many changes came after it is not known";
  return missing === 0 ? "which is all of it" : `${missing} changes came after it`;
}
