import { toBinary } from "../tree/bytes.ts";
import { pathPattern } from "./pattern.ts";

/** Which paths of a context are left out. */
export interface Ignore {
  ignored(path: string): boolean;
  /** True when nothing below an ignored directory can come back by a `!` line: it need not be read. */
  prunable(directory: string): boolean;
}

interface Rule {
  negated: boolean;
  pattern: RegExp;
  /** The names before the first wildcard, to know which directories a `!` line reaches into. */
  prefix: string;
}

/**
 * Reads .dockerignore text: comments, `!` exceptions, the last matching line wins, a matched directory takes everything
 * in it along. `always` are lines put before the file's own, so that the file can take them back.
 */
export function parseIgnore(text: string, always: readonly string[] = []): Ignore {
  const rules = [...always, ...text.replace(/^\uFEFF/, "").split(/\r?\n/)].flatMap(parseLine);
  const matches = (rule: Rule, path: string) => ancestorsOf(path).some((candidate) => rule.pattern.test(candidate));
  const ignored = (path: string) => rules.findLast((rule) => matches(rule, path))?.negated === false;
  return {
    ignored,
    prunable: (directory) =>
      ignored(directory) && !rules.some((rule) => rule.negated && overlaps(rule.prefix, directory)),
  };
}

function parseLine(line: string): Rule[] {
  const trimmed = line.trim();
  if (trimmed === "" || trimmed.startsWith("#")) return [];
  const negated = trimmed.startsWith("!");
  const path = normalise(negated ? trimmed.slice(1).trim() : trimmed);
  if (path === "") return [];
  const pattern = toBinary(path);
  return [{ negated, pattern: pathPattern(pattern), prefix: /^[^*?[\\]*/.exec(pattern)?.[0] ?? "" }];
}

function normalise(pattern: string): string {
  const names: string[] = [];
  for (const name of pattern.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return names.join("/");
}

function ancestorsOf(path: string): string[] {
  const names = path.split("/");
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}

function overlaps(prefix: string, directory: string): boolean {
  return prefix === "" || prefix.startsWith(`${directory}/`) || `${directory}/`.startsWith(prefix);
}
