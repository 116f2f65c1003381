import { isMap, isNode, isPair, LineCounter, parseDocument } from "yaml";
import type * as z from "zod";
import { type RolloutFile, rolloutFileSchema } from "../../manifests/rollout.ts";
import { pointAt } from "../../terminal/excerpt.ts";
import { FleetError } from "../error.ts";

/** Bytes of a file of a rollout, and problems shown at once. */
const TEXT_LIMIT = 64 * 1024;
const PROBLEMS_SHOWN = 10;

type Document = ReturnType<typeof parseDocument>;
type Range = readonly [number, number];

/** Reads the YAML of a rollout (docs/rollout.md). Every problem is told with file:line:column, the line and a caret. */
export function readRolloutFile(file: string, text: string): RolloutFile {
  if (Buffer.byteLength(text) > TEXT_LIMIT) {
    throw new FleetError("rollout-file", `${file}: expected at most ${TEXT_LIMIT} bytes`);
  }
  const lines = new LineCounter();
  const document = parse(file, text, lines);
  const point = ([start, end]: Range, message: string) => {
    const { line, col } = lines.linePos(Math.min(start, text.length));
    const source = text.split("\n")[line - 1]?.replace(/\r$/, "") ?? "";
    const length = Math.max(1, Math.min(end - start, source.length - col + 1));
    return pointAt({ file, line, column: col, length, source }, message).join("\n");
  };
  const faults = [...document.errors, ...document.warnings];
  if (faults.some(({ message }) => message.includes("call stack"))) throw tooDeep(file);
  if (faults.length > 0) throw refused(faults.map(({ pos, message }) => point(pos, firstLine(message))));
  const result = rolloutFileSchema.safeParse(valuesOf(file, document));
  if (result.success) return result.data;
  throw refused(
    result.error.issues
      .flatMap(problemsOf)
      .map(({ path, key, message }) => point(placeOf(document, path, key), message)),
  );
}

function parse(file: string, text: string, lineCounter: LineCounter): Document {
  try {
    return parseDocument(text, { lineCounter, schema: "core", prettyErrors: false, logLevel: "error" });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the parser's own stack
    throw tooDeep(file);
  }
}

function tooDeep(file: string): FleetError {
  return new FleetError("rollout-file", `${file}: expected the file of a rollout, got one that is nested too deep`);
}

/** Aliases are not taken: a few lines of them can be a document without end. */
function valuesOf(file: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw new FleetError("rollout-file", `${file}: ${firstLine((error as Error).message)}`, {
      hint: "write each value out instead of an alias",
    });
  }
}

interface Problem {
  path: readonly PropertyKey[];
  key?: string;
  message: string;
}

function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  const { path } = issue;
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path, key, message: `${key}: no such name here` }));
  }
  const name = path.filter((part) => typeof part === "string").at(-1);
  return [{ path, message: `${name === undefined ? "" : `${String(name)}: `}${firstLine(wordsOf(issue))}` }];
}

const NAMES_OF_TYPES: Readonly<Record<string, string>> = {
  array: "a list",
  object: "names with values",
  string: "text",
};

/** Of values that may have several forms the words of the form that was meant, where the whole has none. */
function wordsOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_union" && issue.message === "Invalid input") {
    const forms = issue.errors.flatMap(([first]) => first ?? []);
    const meant = forms.find(({ code }) => code !== "invalid_type") ?? forms[0];
    return meant === undefined ? issue.message : wordsOf(meant);
  }
  if (issue.code !== "invalid_type") return issue.message;
  return `expected ${NAMES_OF_TYPES[issue.expected] ?? `a ${issue.expected}`}`;
}

/** Where in the text a value stands, or the name of it; else the nearest thing around it. */
function placeOf(document: Document, path: readonly PropertyKey[], key: string | undefined): Range {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    if (!isNode(node)) continue;
    const pair = isMap(node) && key !== undefined ? node.items.find((one) => String(one.key) === key) : undefined;
    const at = isPair(pair) && isNode(pair.key) ? pair.key : node;
    if (at.range) return [at.range[0], at.range[1]];
  }
  return [0, 1];
}

function refused(problems: readonly string[]): FleetError {
  const shown = problems.slice(0, PROBLEMS_SHOWN);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  return new FleetError("rollout-file", shown.join("\n"), { hint: "docs/rollout.md has every name" });
}

/** Without control characters: a file that is no text at all would be shown as it is. */
function firstLine(message: string): string {
  const [line = ""] = message.replaceAll(/[^\P{Cc}\n]/gu, "\ufffd").split("\n");
  return `${line.charAt(0).toLowerCase()}${line.slice(1)}`;
}
