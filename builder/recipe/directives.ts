import { ProblemFound, quote } from "./problem.ts";
import { mapLine, problemAt, type Source } from "./source.ts";

export interface Directives {
  /** What continues a line and takes the meaning from the next character: `\` or a backtick. */
  escape: "\\" | "`";
  /** Lines read as directives. */
  lines: number;
}

/**
 * Parser directives (`# escape=`, `# syntax=`, `# check=`) at the very top: the first line that is anything else, a
 * comment or an empty line too, ends them. `syntax` and `check` speak to other builders and are passed over.
 */
export function readDirectives(source: Source): Directives {
  const seen = new Set<string>();
  let escaper: Directives["escape"] = "\\";
  for (const [line, text] of source.lines.entries()) {
    const found = /^[ \t]*#[ \t]*([a-zA-Z]+)[ \t]*=[ \t]*(.*)$/.exec(text);
    const name = found?.[1]?.toLowerCase() ?? "";
    if (!["escape", "syntax", "check"].includes(name)) return { escape: escaper, lines: line };
    const value = (found?.[2] ?? "").trimEnd();
    const start = value === "" ? text.search(/\S/) : text.trimEnd().length - value.length;
    const mapped = mapLine(source, line, 0, text.length);
    if (seen.has(name)) {
      const message = `directive ${quote(name)} given twice`;
      throw new ProblemFound(problemAt(mapped, text.search(/\S/), text.length, { code: "bad-directive", message }));
    }
    seen.add(name);
    if (name !== "escape") continue;
    if (value !== "\\" && value !== "`") {
      const message = `unknown escape character ${quote(value)}`;
      throw new ProblemFound(
        problemAt(mapped, start, text.length, { code: "bad-directive", message, expected: "\\ or `" }),
      );
    }
    escaper = value;
  }
  return { escape: escaper, lines: source.lines.length };
}
