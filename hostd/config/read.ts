import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument, type Scalar } from "yaml";
import { SECRET } from "../../manifests/template.ts";
import { pointAt } from "../../terminal/excerpt.ts";
import { HostdError } from "../error.ts";
import { type Json, NAME, NAME_RULE, type Tree } from "./tree.ts";

/** What one document may be: bytes of text, maps in maps, values in all, characters of a name, problems shown. */
export const LAYER_LIMITS = { text: 64 * 1024, depth: 16, values: 2_000, name: 128, problems: 10 } as const;

const TOO_DEEP = `expected at most ${LAYER_LIMITS.depth} levels`;

const ONE_DOCUMENT = "expected one document, another one begins here";

/** Offset and length in the text, and what is wrong there. */
type Report = (range: readonly [number, number], message: string) => void;

interface Reading {
  report: Report;
  lineOf(node: ParsedNode): number;
  values: number;
}

/**
 * Reads the YAML (or JSON, which is YAML) of a layer. Every problem is told with file:line:column, the line and a
 * caret. Refuses what YAML would change without a word: `1.10` is a number that would be written 1.1.
 */
export function readLayer(file: string, text: string): Tree {
  if (Buffer.byteLength(text) > LAYER_LIMITS.text) {
    throw new HostdError("config-layer", `${file}: expected at most ${LAYER_LIMITS.text} bytes`);
  }
  const lines = new LineCounter();
  const problems: string[] = [];
  const report: Report = ([start, end], message) => {
    const { line, col } = lines.linePos(start);
    const source = text.split("\n")[line - 1]?.replace(/\r$/, "") ?? "";
    const length = Math.max(1, Math.min(end - start, source.length - col + 1));
    problems.push(pointAt({ file, line, column: Math.max(1, col), length, source }, message).join("\n"));
  };
  const reading: Reading = { report, lineOf: (node) => lines.linePos(node.range[0]).line, values: 0 };
  const tree = parse(text, lines, reading);
  if (problems.length === 0 && tree !== undefined) return tree;
  const shown = problems.slice(0, LAYER_LIMITS.problems);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  throw new HostdError("config-layer", shown.join("\n"));
}

function parse(text: string, lines: LineCounter, reading: Reading): Tree | undefined {
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      schema: "core",
      prettyErrors: false,
    });
    for (const { code, pos, message } of [...document.errors, ...document.warnings]) {
      const isSecond = code === "MULTIPLE_DOCS";
      reading.report(pos, isSecond ? ONE_DOCUMENT : isDeep(message) ? TOO_DEEP : lower(message));
    }
    if (document.errors.length > 0) return undefined;
    const { contents } = document;
    if (contents === null || (isScalar(contents) && contents.value === null)) return { line: 1, members: {} };
    if (isMap(contents)) return readMap(contents, reading, 0);
    reading.report(rangeOf(contents), "expected names with values, such as `smtp: mail.example`");
    return undefined;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the parser's own stack
    reading.report([0, 1], TOO_DEEP);
    return undefined;
  }
}

function readMap(map: ParsedNode, reading: Reading, depth: number): Tree {
  const members: [string, Tree][] = [];
  if (!isMap<ParsedNode, ParsedNode | null>(map)) return { line: reading.lineOf(map), members: {} };
  for (const { key, value } of map.items) {
    const name = nameOf(key, reading, depth);
    if (name === undefined) continue;
    if (value === null) members.push([name, { line: reading.lineOf(key), leaf: null }]);
    else members.push([name, readValue(value, reading, depth + 1)]);
  }
  return { line: reading.lineOf(map), members: Object.fromEntries(members) };
}

function nameOf(key: ParsedNode, { report }: Reading, depth: number): string | undefined {
  const name = isScalar(key) && typeof key.value === "string" ? key.value : undefined;
  if (name === undefined || !NAME.test(name) || name.length > LAYER_LIMITS.name) {
    report(rangeOf(key), `expected a name that ${NAME_RULE}`);
    return undefined;
  }
  if (depth > 0 || name !== SECRET) return name;
  report(rangeOf(key), "secrets do not stand in layers: hostd secret set NAME");
  return undefined;
}

function readValue(node: ParsedNode, reading: Reading, depth: number): Tree {
  const line = reading.lineOf(node);
  if (!within(node, reading, depth)) return { line, leaf: null };
  if (isMap(node)) return readMap(node, reading, depth);
  return { line, leaf: readPlain(node, reading, depth) as Json[] };
}

/** Scalars and lists; what stands in a list is a value of its own only as part of that. */
function readPlain(node: ParsedNode, reading: Reading, depth: number): Json {
  if (isAlias(node)) reading.report(rangeOf(node), "aliases are not taken: write the value out");
  if (isScalar(node)) return scalarOf(node as Scalar.Parsed, reading);
  if (isSeq<ParsedNode>(node)) {
    return node.items.map((item) => (within(item, reading, depth + 1) ? readPlain(item, reading, depth + 1) : null));
  }
  if (!isMap<ParsedNode, ParsedNode | null>(node)) return null;
  return Object.fromEntries(
    node.items.map(({ key, value }) => [
      isScalar(key) ? String(key.value) : "",
      value !== null && within(value, reading, depth + 1) ? readPlain(value, reading, depth + 1) : null,
    ]),
  );
}

function within(node: ParsedNode, reading: Reading, depth: number): boolean {
  reading.values++;
  if (reading.values === LAYER_LIMITS.values + 1) {
    reading.report(rangeOf(node), `expected at most ${LAYER_LIMITS.values} values`);
  }
  if (depth <= LAYER_LIMITS.depth) return reading.values <= LAYER_LIMITS.values;
  reading.report(rangeOf(node), TOO_DEEP);
  return false;
}

function scalarOf(node: Scalar.Parsed, { report }: Reading): Json {
  const { value, source, tag } = node;
  if (tag !== undefined) {
    report(rangeOf(node), "tags are not taken: write the value itself, text in quotes");
    return null;
  }
  if (typeof value === "string") {
    if (value.includes("\0")) report(rangeOf(node), "expected text without NUL");
    return value;
  }
  if (value === null) return null;
  if (typeof value !== "number" && typeof value !== "boolean") {
    report(rangeOf(node), "expected text, a number, true or false");
    return null;
  }
  const written = JSON.stringify(value);
  if (written === source) return value;
  report(rangeOf(node), `${source} would be written ${written}: put quotes around it, or write ${written}`);
  return null;
}

function rangeOf(node: ParsedNode): [number, number] {
  return [node.range[0], node.range[1]];
}

/** The parser's own stack is no place in the document. */
function isDeep(message: string): boolean {
  return message.includes("call stack");
}

function lower(message: string): string {
  return `${message.charAt(0).toLowerCase()}${message.slice(1)}`.split("\n")[0] ?? "";
}
