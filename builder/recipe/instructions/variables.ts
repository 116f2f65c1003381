import { APP_LABEL } from "../../../manifests/app.ts";
import { missing } from "../arguments.ts";
import { type Draft, expandSpan, warn } from "../draft.ts";
import { LIMITS } from "../limits.ts";
import { quote } from "../problem.ts";
import { setArg, setEnv } from "../scope.ts";
import { fail, type Instruction } from "../split.ts";
import { type Span, splitWords } from "../words.ts";

const NAME = {
  pattern: /^[A-Za-z_][A-Za-z0-9_.-]{0,255}$/,
  expected: "a letter or _, then letters, digits, _ . and -",
};
/** `${a-b}` means something else. */
const ARG_NAME = { pattern: /^[A-Za-z_]\w{0,255}$/, expected: "a letter or _, then letters, digits and _" };
const SECRET = /(?:^|_)(?:password|passwd|passphrase|secret|token|apikey|api_key|private_key|credentials)$/i;

interface Pair {
  name: string;
  nameSpan: Span;
  valueSpan: Span | undefined;
}

/** `ENV name=value ...` or the old `ENV name value`; all values are read before any is set, as in a Dockerfile. */
export function readEnv(instruction: Instruction, draft: Draft): void {
  const pairs = readPairs(instruction, draft, "name=value");
  const values = pairs.map(({ valueSpan }) =>
    valueSpan === undefined ? "" : expandSpan(draft, instruction, valueSpan, "lenient"),
  );
  for (const [index, { name, nameSpan }] of pairs.entries()) {
    checkName(instruction, name, nameSpan);
    checkRoom(instruction, nameSpan, draft.scope.env, name);
    warnOfSecret(draft, instruction, name, nameSpan);
    setEnv(draft.scope, name, values[index] ?? "");
  }
}

/**
 * `ARG name[=default] ...`. The value is the one given to the build, else the default, else what an ARG of the same name
 * had above (so a section takes an ARG of the preamble by repeating it).
 */
export function readArg(instruction: Instruction, draft: Draft): void {
  const words = splitWords(instruction.line, instruction.rest, instruction.escape);
  if (words.length === 0) missing(instruction, "name or name=default");
  for (const word of words) {
    const { name, nameSpan, valueSpan } = splitPair(instruction, word);
    checkName(instruction, name, nameSpan, ARG_NAME);
    checkRoom(instruction, nameSpan, draft.args, name);
    warnOfSecret(draft, instruction, name, nameSpan);
    const given = draft.options.args;
    const fallback = valueSpan === undefined ? undefined : expandSpan(draft, instruction, valueSpan, "lenient");
    const value = given !== undefined && Object.hasOwn(given, name) ? given[name] : (fallback ?? draft.args.get(name));
    setArg(draft.scope, name, value);
    draft.args.set(name, value);
  }
}

/** `LABEL name=value ...` or the old `LABEL name value`. */
export function readLabel(instruction: Instruction, draft: Draft): void {
  for (const { nameSpan, valueSpan } of readPairs(instruction, draft, "name=value")) {
    const name = expandSpan(draft, instruction, nameSpan, "lenient");
    if (name === "")
      fail(instruction, nameSpan.start, nameSpan.end, { code: "bad-value", message: "label has no name" });
    if (name === APP_LABEL) {
      const message = `label ${quote(name)} is written by the builder`;
      const hint = "declare LISTEN, HEALTH, DATA and the like instead";
      fail(instruction, nameSpan.start, nameSpan.end, { code: "bad-value", message, hint });
    }
    checkRoom(instruction, nameSpan, draft.image.labels, name);
    const value = valueSpan === undefined ? "" : expandSpan(draft, instruction, valueSpan, "lenient");
    draft.image.labels.set(name, value);
  }
}

/** `MAINTAINER name`: the old word for a label. */
export function readMaintainer(instruction: Instruction, draft: Draft): void {
  const value = instruction.line.text.slice(instruction.rest).trim();
  if (value === "") missing(instruction, "a name");
  draft.image.labels.set("org.opencontainers.image.authors", value);
  warn(
    draft,
    instruction,
    { start: instruction.start, end: instruction.start + instruction.word.length },
    {
      code: "suspicious",
      message: "MAINTAINER is an old word",
      suggestion: `LABEL org.opencontainers.image.authors=${JSON.stringify(value)}`,
    },
  );
}

function readPairs(instruction: Instruction, draft: Draft, expected: string): Pair[] {
  const words = splitWords(instruction.line, instruction.rest, instruction.escape);
  const [first, second] = words;
  if (first === undefined) return missing(instruction, expected);
  const text = instruction.line.text;
  if (text.slice(first.start, first.end).includes("="))
    return words.map((word) => splitPair(instruction, word, expected));
  if (second === undefined) {
    const message = `${quote(text.slice(first.start, first.end))} has no value`;
    return fail(instruction, first.start, first.end, { code: "bad-syntax", message, expected });
  }
  const name = text.slice(first.start, first.end);
  warn(draft, instruction, first, {
    code: "suspicious",
    message: `${instruction.keyword} without = is an old form: the rest of the line is one value`,
    suggestion: `${instruction.keyword} ${name.slice(0, 40)}=...`,
  });
  return [{ name, nameSpan: first, valueSpan: { start: second.start, end: text.trimEnd().length } }];
}

function splitPair(instruction: Instruction, word: Span, expected?: string): Pair {
  const text = instruction.line.text.slice(word.start, word.end);
  const equals = text.indexOf("=");
  if (equals < 0 && expected !== undefined) {
    const message = `${quote(text)} has no =`;
    const hint = "put quotes around a value with blanks";
    fail(instruction, word.start, word.end, { code: "bad-syntax", message, expected, hint });
  }
  const nameEnd = equals < 0 ? word.end : word.start + equals;
  return {
    name: equals < 0 ? text : text.slice(0, equals),
    nameSpan: { start: word.start, end: nameEnd },
    valueSpan: equals < 0 ? undefined : { start: nameEnd + 1, end: word.end },
  };
}

function checkName(instruction: Instruction, name: string, at: Span, { pattern, expected } = NAME): void {
  if (pattern.test(name)) return;
  const end = Math.max(at.end, at.start + 1);
  const message = `bad variable name ${quote(name)}`;
  fail(instruction, at.start, end, {
    code: "bad-value",
    message,
    expected,
  });
}

function checkRoom(instruction: Instruction, at: Span, names: ReadonlyMap<string, unknown>, name: string): void {
  if (names.has(name) || names.size < LIMITS.variables) return;
  const message = `recipe sets more than ${LIMITS.variables} names by ${instruction.keyword}`;
  fail(instruction, at.start, at.end, { code: "too-large", message });
}

function warnOfSecret(draft: Draft, instruction: Instruction, name: string, at: Span): void {
  if (!SECRET.test(name)) return;
  warn(draft, instruction, at, {
    code: "suspicious",
    message: `${instruction.keyword} ${name} puts a secret into the image for all to read`,
    hint: "use RUN --mount=type=secret,id=NAME, and CONFIG for what runs",
  });
}
