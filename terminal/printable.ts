/** Every control character but tab, newline, and the carriage return before one. */
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)/g;

/**
 * A text as it may be shown: on a terminal its control characters are spelt out, since what a program printed could hide
 * or forge what stands around it. A file or a pipe has it as it is.
 */
export function printable(text: string, { isTTY = false }: { isTTY?: boolean }): string {
  if (!isTTY) return text;
  return text.replace(CONTROL, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
