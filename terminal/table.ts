import { width } from "./width.ts";

export interface TableOptions {
  /** Columns of the terminal that the table has to fit; without limit where the output is none. */
  columns?: number;
  /** Spaces before each line. */
  indent?: number;
  /** Per row what is told under it, where it may be as long as it likes. */
  below?: readonly (readonly string[])[];
}

const GAP = 2;
/** Spaces before what stands below its row. */
const BELOW = 4;
/** Narrowest that the last column is made, for a table to fit. */
const NARROWEST = 10;

/**
 * A table for people: columns as wide as their widest cell, numbers to the right, no lines but one under the head.
 * Where it would be too wide its last column is wrapped at words.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { columns = terminalColumns(), indent = 0, below = [] }: TableOptions = {},
): string {
  const room = columns - indent;
  const widths = head.map((title, column) => Math.max(...[title, ...rows.map((row) => row[column] ?? "")].map(width)));
  const last = head.length - 1;
  const before = widths.slice(0, last).reduce((sum, count) => sum + count + GAP, 0);
  widths[last] = Math.min(widths[last] ?? 0, Math.max(NARROWEST, width(head[last] ?? ""), room - before));
  const numeric = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^[-\d.,]+( \w+)?$/.test(row[column] ?? "")),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => pad(cell, widths[column] ?? 0, numeric[column] ?? false))
      .join(" ".repeat(GAP))
      .trimEnd();
  const wrapped = (cells: readonly string[]) => {
    const [first = "", ...rest] = wrap(cells[last] ?? "", widths[last] ?? 0);
    return [line([...cells.slice(0, last), first]), ...rest.map((piece) => `${" ".repeat(before)}${piece}`)];
  };
  const under = (texts: readonly string[]) =>
    texts.flatMap((text) => wrap(text, room - BELOW)).map((piece) => `${" ".repeat(BELOW)}${piece}`);
  const lines = [
    line(head),
    widths.map((count) => "─".repeat(count)).join(" ".repeat(GAP)),
    ...rows.flatMap((row, index) => [...wrapped(row), ...under(below[index] ?? [])]),
  ];
  return lines.map((text) => `${" ".repeat(indent)}${text}`).join("\n");
}

/** Lines of at most so many columns, broken at spaces; a longer word has a line of its own. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && width(line) + 1 + width(word) > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** Columns of the terminal that answers are shown on; no limit where they go elsewhere. */
export function terminalColumns(): number {
  return process.stdout.isTTY === true ? process.stdout.columns : Number.POSITIVE_INFINITY;
}

/** A size in bytes as people read it. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

function pad(cell: string, size: number, right: boolean): string {
  const space = " ".repeat(Math.max(0, size - width(cell)));
  return right ? space + cell : cell + space;
}
