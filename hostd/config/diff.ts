/** Lines of a file beyond which the difference is no longer looked for, and lines shown around a change. */
const MOST_LINES = 2_000;
const CONTEXT = 3;

interface Edit {
  kind: " " | "-" | "+";
  text: string;
}

/** What changes between two texts, as a unified diff without its head; empty where nothing does. */
export function diffLines(before: string, after: string): string[] {
  if (before === after) return [];
  const [old, now] = [linesOf(before), linesOf(after)];
  const large = old.length > MOST_LINES || now.length > MOST_LINES;
  return hunks(large ? replaced(old, now) : edits(old, now));
}

/** A unified diff of one file; a file that comes or goes is compared with /dev/null. */
export function diffFile(path: string, before: string | undefined, after: string | undefined): string {
  const lines = diffLines(before ?? "", after ?? "");
  if (lines.length === 0) return "";
  const name = (side: string, text: string | undefined) => (text === undefined ? "/dev/null" : `${side}${path}`);
  return [`--- ${name("a", before)}`, `+++ ${name("b", after)}`, ...lines].join("\n");
}

function linesOf(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n");
  return lines.at(-1) === ""
    ? lines.slice(0, -1)
    : [...lines.slice(0, -1), `${lines.at(-1)}\n\\ No newline at end of file`];
}

function replaced(old: readonly string[], now: readonly string[]): Edit[] {
  const mark = (kind: Edit["kind"]) => (text: string) => ({ kind, text });
  return [...old.map(mark("-")), ...now.map(mark("+"))];
}

/** The shortest edit by the longest common subsequence, after equal ends are cut off. */
function edits(old: readonly string[], now: readonly string[]): Edit[] {
  let [head, tail] = [0, 0];
  const shorter = Math.min(old.length, now.length);
  while (head < shorter && old[head] === now[head]) head++;
  while (tail < shorter - head && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail++;
  const keep = (text: string): Edit => ({ kind: " ", text });
  return [
    ...old.slice(0, head).map(keep),
    ...between(old.slice(head, old.length - tail), now.slice(head, now.length - tail)),
    ...old.slice(old.length - tail).map(keep),
  ];
}

function between(old: readonly string[], now: readonly string[]): Edit[] {
  const width = now.length + 1;
  const common = new Uint16Array((old.length + 1) * width);
  const at = (row: number, column: number) => common[row * width + column] ?? 0;
  for (let row = old.length - 1; row >= 0; row--) {
    for (let column = now.length - 1; column >= 0; column--) {
      common[row * width + column] =
        old[row] === now[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const found: Edit[] = [];
  for (let [row, column] = [0, 0]; row < old.length || column < now.length; ) {
    if (row < old.length && column < now.length && old[row] === now[column]) {
      found.push({ kind: " ", text: old[row++] ?? "" });
      column++;
    } else if (row < old.length && (column === now.length || at(row + 1, column) >= at(row, column + 1))) {
      found.push({ kind: "-", text: old[row++] ?? "" });
    } else found.push({ kind: "+", text: now[column++] ?? "" });
  }
  return found;
}

function hunks(all: readonly Edit[]): string[] {
  const shown = all.map((_, at) =>
    all.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(({ kind }) => kind !== " "),
  );
  const lines: string[] = [];
  let [old, now] = [1, 1];
  for (let at = 0; at < all.length; ) {
    if (!shown[at]) {
      [at, old, now] = [at + 1, old + 1, now + 1];
      continue;
    }
    const end = shown.indexOf(false, at);
    const hunk = all.slice(at, end < 0 ? all.length : end);
    const [gone, come] = [
      hunk.filter(({ kind }) => kind !== "+").length,
      hunk.filter(({ kind }) => kind !== "-").length,
    ];
    lines.push(`@@ -${span(old, gone)} +${span(now, come)} @@`, ...hunk.map(({ kind, text }) => `${kind}${text}`));
    [at, old, now] = [at + hunk.length, old + gone, now + come];
  }
  return lines;
}

/** `START,COUNT`; a count of none begins at the line before. */
function span(start: number, count: number): string {
  return count === 1 ? String(start) : `${count === 0 ? start - 1 : start},${count}`;
}
