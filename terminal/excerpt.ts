const TAB = 4;
/** Columns of source shown around the caret; longer lines are cut with an ellipsis. */
const WINDOW = 120;
const LEAD = 40;

interface Cell {
  shown: string;
  width: number;
}

/** A place in a text, and the line that it is in. */
export interface Place {
  file: string;
  /** Both from 1 on. */
  line: number;
  column: number;
  /** Characters to underline, at least 1. */
  length: number;
  source: string;
}

/**
 * What is wrong at a place, for people: `file:line:column: message`, the line, carets under the exact word. Tabs, wide
 * and combining characters keep the carets in place; control characters are made visible.
 */
export function pointAt({ file, line, column, length, source }: Place, message: string): string[] {
  const gutter = String(line);
  const { text, before, under } = excerpt(source, column - 1, length);
  return [
    `${file}:${line}:${column}: ${message}`,
    `  ${gutter} | ${text}`.trimEnd(),
    `  ${" ".repeat(gutter.length)} | ${" ".repeat(before)}${"^".repeat(under)}`,
  ];
}

function excerpt(source: string, start: number, length: number) {
  const all = Array.from(source);
  const first = Math.max(0, start - (all.length > WINDOW ? LEAD : all.length));
  const last = Math.min(all.length, first + WINDOW);
  const cells = cellsOf(all.slice(first, last));
  const head = first > 0 ? "…" : "";
  const tail = last < all.length ? "…" : "";
  const before = head.length + width(cells.slice(0, start - first));
  const under = Math.max(1, width(cells.slice(start - first, start - first + length)));
  return { text: head + join(cells) + tail, before, under };
}

function cellsOf(characters: readonly string[]): Cell[] {
  let column = 0;
  return characters.map((character) => {
    const cell = cellOf(character, column);
    column += cell.width;
    return cell;
  });
}

function cellOf(character: string, column: number): Cell {
  if (character === "\t") {
    const spaces = TAB - (column % TAB);
    return { shown: " ".repeat(spaces), width: spaces };
  }
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/u.test(character)) {
    return { shown: "\uFFFD", width: 1 };
  }
  if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(character)) return { shown: character, width: 0 };
  return { shown: character, width: isWide(character) ? 2 : 1 };
}

/** East Asian wide and fullwidth characters, and emoji shown as pictures (Unicode UAX 11). */
function isWide(character: string): boolean {
  return /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{17000}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u.test(
    character,
  );
}

function join(cells: readonly Cell[]): string {
  return cells.map((cell) => cell.shown).join("");
}

function width(cells: readonly Cell[]): number {
  return cells.reduce((sum, cell) => sum + cell.width, 0);
}
