const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const COLOUR = /\x1b\[[0-9;]*m/g;

/** Columns that a text takes on a terminal: two for East Asian wide characters and pictures, none for colours. */
export function width(text: string): number {
  return [...text.replace(COLOUR, "")].reduce((sum, character) => sum + widthOf(character), 0);
}

/** The start of a plain text that fits so many columns, with `…` where something is left out. */
export function clip(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let room = columns - 1;
  let kept = "";
  for (const character of text) {
    room -= widthOf(character);
    if (room < 0) break;
    kept += character;
  }
  return `${kept}…`;
}

function widthOf(character: string): number {
  return WIDE.test(character) ? 2 : 1;
}
