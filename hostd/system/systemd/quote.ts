const CONTROL = /[\x01-\x1f\x7f]/g;

/**
 * One word of ExecStart= in a unit file, so that the program gets it exactly: in double quotes with C escapes
 * (systemd.syntax), `%` and `$` doubled against specifiers (systemd.unit) and variables (systemd.service). The word
 * must hold no NUL, as no argument of a process can.
 */
export function quoteWord(word: string): string {
  const escaped = word
    .replace(/["\\]/g, (char) => `\\${char}`)
    .replace(CONTROL, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`)
    .replaceAll("%", "%%")
    .replaceAll("$", "$$$$");
  return `"${escaped}"`;
}

/** A whole command line for ExecStart=. */
export function quoteCommandLine(command: readonly string[]): string {
  return command.map(quoteWord).join(" ");
}
