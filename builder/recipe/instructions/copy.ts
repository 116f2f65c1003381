import { type Argument, badValue, type FlagSpecs, type Flags, flag, missing, readFlags } from "../arguments.ts";
import { addStep, type Draft, expandSpan, expandText } from "../draft.ts";
import type { Heredoc } from "../heredoc.ts";
import { type JsonString, readJsonForm } from "../json.ts";
import { collecting, type Problem, ProblemFound, quote } from "../problem.ts";
import type { CopyFile, CopyPath, TreeSource } from "../recipe.ts";
import { positionAt } from "../source.ts";
import { fail, type Instruction } from "../split.ts";
import { readTreeSource } from "../tree.ts";
import { contextPath, imagePath, mode, owner } from "../values.ts";
import { isEnd, type Span, splitWords } from "../words.ts";

const FLAGS: FlagSpecs = {
  from: { kind: "value" },
  closure: { kind: "switch" },
  chown: { kind: "value" },
  chmod: { kind: "value" },
  exclude: { kind: "value", many: true },
  /** Every COPY is a tree of its own here already. */
  link: { kind: "switch" },
};
const ADD_FLAGS: FlagSpecs = {
  chown: { kind: "value" },
  chmod: { kind: "value" },
  exclude: { kind: "value", many: true },
};
const ARCHIVE = /\.(?:tar|tgz|tbz2?|txz|tzst|tar\.(?:gz|bz2|xz|zst|lzma))$/i;

/** `COPY [flags] source... destination`, also as a JSON array, also with heredocs in place of sources. */
export function readCopy(instruction: Instruction, draft: Draft): void {
  copy(instruction, draft, FLAGS);
}

/** `ADD` of files in the context is COPY. It neither fetches nor unpacks here, and says what does. */
export function readAdd(instruction: Instruction, draft: Draft): void {
  const { rest } = readFlags(instruction, draft, ADD_FLAGS);
  const { sources } = readPaths(instruction, draft, rest);
  for (const source of sources) {
    if (!ARCHIVE.test(source.value) || /^\w+:\/\//.test(source.value)) continue;
    fail(instruction, source.start, source.end, {
      code: "not-supported",
      message: "ADD does not unpack archives",
      hint: "RUN --mount=type=bind,source=FILE,target=/tmp/archive tar -xf /tmp/archive -C DIRECTORY",
    });
  }
  copy(instruction, draft, ADD_FLAGS);
}

function copy(instruction: Instruction, draft: Draft, specs: FlagSpecs): void {
  const { flags, rest } = readFlags(instruction, draft, specs);
  const problems: Problem[] = [];
  const collect = <T>(read: () => T) => collecting(problems, read);
  const paths = readPaths(instruction, draft, rest);
  const from = collect(() => readFrom(instruction, draft, flags));
  const sources = from && paths.sources.map((at) => collect(() => readSource(instruction, from, at)));
  const destination = collect(() => readDestination(instruction, draft, paths));
  const chown = flag(flags, "chown");
  const chmod = flag(flags, "chmod");
  const options = {
    closure: flags.has("closure"),
    owner: chown && collect(() => owner(instruction, chown)),
    mode: chmod && collect(() => mode(instruction, chmod)),
    exclude: (flags.get("exclude") ?? []).map((at) => collect(() => readExclude(instruction, at)) ?? ""),
  };
  const files = paths.heredocs.map((heredoc) => collect(() => readFile(instruction, draft, heredoc)));
  if (from !== undefined) collect(() => checkClosure(instruction, flags, from, paths.heredocs));
  if (problems.length > 0 || from === undefined || sources === undefined || destination === undefined)
    throw new ProblemFound(...problems);
  addStep(draft, instruction, {
    kind: "copy",
    from,
    sources: sources.filter((source) => source !== undefined),
    files: files.filter((file) => file !== undefined),
    ...destination,
    ...options,
  });
}

interface Paths {
  sources: Argument[];
  heredocs: Heredoc[];
  destination: Argument;
}

/** Tells sources, heredocs and the destination (the last word) apart. */
function readPaths(instruction: Instruction, draft: Draft, rest: number): Paths {
  const { line, keyword } = instruction;
  const opening = /^\[\s*["']/.test(line.text.slice(rest, rest + 256));
  const array = opening ? readJsonForm(line, rest) : undefined;
  const spans: readonly (Span & { value?: string })[] = array?.values ?? splitWords(line, rest, instruction.escape);
  if (array !== undefined && !isEnd(line, array.end)) {
    const end = line.text.trimEnd().length;
    const message = `unexpected ${quote(line.text.slice(array.end, end).trim())} after the JSON array`;
    fail(instruction, array.end, end, { code: "bad-json", message, expected: "the end of the instruction" });
  }
  const last = spans.at(-1);
  if (last === undefined) return missing(instruction, "sources, then a destination");
  const heredocAt = (span: Span) =>
    instruction.heredocs.find(({ start, end }) => start === span.start && end === span.end);
  if (spans.length === 1 || heredocAt(last) !== undefined)
    return missing(instruction, "a destination after the sources");
  const [destination, ...sources] = [last, ...spans.slice(0, -1)]
    .filter((span) => array !== undefined || heredocAt(span) === undefined)
    .map((span) => readPath(instruction, draft, span));
  if (destination === undefined) return missing(instruction, `a destination of ${keyword}`);
  return { sources, heredocs: array === undefined ? instruction.heredocs : [], destination };
}

function readPath(instruction: Instruction, draft: Draft, span: Span & { value?: string }): Argument {
  const raw = instruction.line.text.slice(span.start, span.end);
  if (raw.startsWith("--")) {
    const message = `flag ${quote(raw)} stands behind a path`;
    const hint = `flags of ${instruction.keyword} come first; a file of this name is written ./${raw.slice(0, 40)}`;
    fail(instruction, span.start, span.end, { code: "bad-flag", message, hint });
  }
  if (raw.startsWith("<<")) {
    const message = `${quote(raw)} is not a heredoc`;
    const expected = "<<NAME with no blank between, and a line NAME below";
    fail(instruction, span.start, span.end, { code: "bad-heredoc", message, expected });
  }
  if (span.value === undefined) return { ...span, value: expandSpan(draft, instruction, span) };
  return { ...span, value: expandString(instruction, draft, { ...span, value: span.value }) };
}

/** Variables in a JSON string: its quotes and escapes are gone already, so quotes in it are plain characters. */
function expandString(instruction: Instruction, draft: Draft, { start, end, value }: JsonString): string {
  const { source, offsets } = instruction.line;
  const at = (index: number) => offsets[Math.min(start + 1 + index, end - 1)] ?? 0;
  const letters = Array.from({ length: value.length }, (_, index) => at(index));
  const line = { source, text: value, offsets: letters, end: at(value.length) };
  return expandText(draft, line, { start: 0, end: value.length }, instruction.escape, "strict", "heredoc");
}

function readFrom(instruction: Instruction, draft: Draft, flags: Flags): TreeSource {
  const at = flag(flags, "from");
  return at === undefined ? { tree: "context" } : readTreeSource(instruction, draft, at);
}

function readSource(instruction: Instruction, from: TreeSource, at: Argument): CopyPath {
  return {
    path:
      from.tree === "context"
        ? contextPath(instruction, at, `${instruction.keyword} source`)
        : imagePath(instruction, at, "/"),
    pattern: /[*?[]/.test(at.value),
    position: positionAt(instruction.line, at.start),
  };
}

function readDestination(instruction: Instruction, draft: Draft, { sources, heredocs, destination: at }: Paths) {
  const { scope } = draft;
  const path = imagePath(instruction, at, scope.workdir);
  if (!at.value.startsWith("/") && !scope.hasWorkdir && !scope.open) {
    fail(instruction, at.start, at.end, {
      code: "bad-path",
      message: `destination ${quote(at.value)} is relative, but no WORKDIR is set`,
      expected: "an absolute path, or a WORKDIR above",
      suggestion: path,
    });
  }
  const directory = /(?:^|\/)\.{0,2}$/.test(at.value);
  if (sources.length + heredocs.length > 1 && !directory) {
    fail(instruction, at.start, at.end, {
      code: "bad-path",
      message: `several sources for one destination ${quote(at.value)}`,
      expected: "a directory, written with a slash at its end",
      suggestion: `${at.value}/`,
    });
  }
  return { destination: path, intoDirectory: directory };
}

function readExclude(instruction: Instruction, at: Argument): string {
  const pattern = at.value.replace(/^\.\//, "");
  if (pattern !== "" && !pattern.startsWith("/") && !pattern.split("/").includes("..")) return pattern;
  return badValue(instruction, at, `bad pattern ${quote(at.value)}`, {
    expected: "a pattern relative to the source, such as *.test.js or docs/**",
  });
}

function readFile(instruction: Instruction, draft: Draft, heredoc: Heredoc): CopyFile {
  const { body } = heredoc;
  if (heredoc.name.includes("/") || heredoc.name === "." || heredoc.name === "..") {
    const message = `heredoc ${quote(heredoc.name)} cannot be a file's name`;
    fail(instruction, heredoc.start, heredoc.end, { code: "bad-heredoc", message, expected: "a name without /" });
  }
  const whole = { start: 0, end: body.text.length };
  const content = heredoc.expand ? expandText(draft, body, whole, instruction.escape, "strict", "heredoc") : body.text;
  return { name: heredoc.name, content, position: positionAt(instruction.line, heredoc.start) };
}

function checkClosure(instruction: Instruction, flags: Flags, from: TreeSource, heredocs: readonly Heredoc[]): void {
  const at = flag(flags, "closure");
  if (at === undefined) return;
  const refuse = (message: string, expected: string) =>
    fail(instruction, at.start, at.end, { code: "bad-flag", message, expected });
  if (from.tree === "context")
    refuse("--closure needs a tree that holds the libraries", "--from=bootstrap or --from=IMAGE");
  if (heredocs.length > 0) refuse("--closure does not go with heredocs", "sources that are programs or libraries");
  if (flags.has("exclude")) refuse("--closure does not go with --exclude", "one of them");
}
