import { type Argument, missing } from "../arguments.ts";
import { type Draft, expandFrom, keywordSpan, noDeclarations, warn } from "../draft.ts";
import { collecting, ProblemFound, quote } from "../problem.ts";
import type { From } from "../recipe.ts";
import { readReference } from "../reference.ts";
import { openScope } from "../scope.ts";
import { positionAt } from "../source.ts";
import { atKeyword, fail, type Instruction } from "../split.ts";
import { splitWords } from "../words.ts";

/** Declarations of what is deployed: lost without a trace when DEPLOY FROM starts again below them. */
const DEPLOYED = [
  "KIND",
  "LISTEN",
  "SWITCH",
  "LIMIT",
  "HEALTH",
  "HEALTHCHECK",
  "DATA",
  "CONFIG",
  "BOOT",
  "DRAIN",
  "MIGRATE",
  "READY",
  "REVERTED",
  "QUIESCE",
  "RESUME",
  "TEST",
];

/** `FROM reference [AS name]`: the first instruction of BOOTSTRAP, above or below its header. */
export function readFrom(instruction: Instruction, draft: Draft): void {
  if (draft.phase === "deploy") {
    draft.stopped = true;
    fail(instruction, instruction.start, instruction.line.text.trimEnd().length, {
      code: "bad-section",
      message: "FROM inside DEPLOY",
      suggestion: `DEPLOY ${instruction.line.text.slice(instruction.start).trim()}`,
      hint: "write it on the line of DEPLOY, which then starts again from it",
    });
  }
  openBootstrap(instruction, draft, instruction.rest);
}

/** `BOOTSTRAP [FROM reference]`: the header may be left out; what stands above it, but for FROM and ARG, may not. */
export function readBootstrap(instruction: Instruction, draft: Draft): void {
  const { header } = draft;
  if (header !== undefined) refuseSecond(instruction, header);
  if (draft.phase === "deploy") {
    throw new ProblemFound(
      atKeyword(instruction, {
        code: "bad-section",
        message: `BOOTSTRAP below DEPLOY, which is in line ${draft.deploy?.position.line}`,
        expected: "BOOTSTRAP first, then DEPLOY",
      }),
    );
  }
  if (draft.began) {
    throw new ProblemFound(
      atKeyword(instruction, {
        code: "bad-section",
        message: "instructions stand above the BOOTSTRAP header",
        expected: "BOOTSTRAP right after FROM",
        hint: "text without a header is BOOTSTRAP already: move the header up, or leave it out",
      }),
    );
  }
  draft.header = instruction;
  const at = readSectionFrom(instruction);
  if (at !== undefined) openBootstrap(instruction, draft, at);
}

/** `DEPLOY [FROM reference]`: goes on from BOOTSTRAP, or starts again from the reference. */
export function readDeploy(instruction: Instruction, draft: Draft): void {
  if (draft.deploy !== undefined) refuseSecond(instruction, { firstLine: draft.deploy.position.line });
  const at = readSectionFrom(instruction);
  draft.deploy = { from: undefined, steps: [], position: positionAt(instruction.line, instruction.start) };
  draft.phase = "deploy";
  if (at === undefined) return;
  const from = collecting(draft.problems, () => readFromWords(instruction, draft, at).reference);
  draft.deploy.from = from;
  startAgain(draft, from);
}

/** The section is open even when its reference is bad, so that what follows is judged by itself. */
function openBootstrap(instruction: Instruction, draft: Draft, at: number): void {
  if (draft.from !== undefined) refuseStage(instruction, draft);
  draft.preambleArgs = new Map(draft.scope.args);
  draft.from = instruction;
  draft.phase = "bootstrap";
  draft.scope = openScope(undefined, undefined);
  const { reference, alias } = readFromWords(instruction, draft, at);
  draft.base = { from: reference, alias };
  draft.scope = openScope(reference, draft.options.base);
  warnOfTag(draft, instruction, reference);
}

function startAgain(draft: Draft, from: From | undefined): void {
  for (const instruction of draft.declared) {
    const text = {
      message: `${instruction.keyword} in BOOTSTRAP is lost: DEPLOY FROM starts again`,
      hint: "move it below DEPLOY",
    };
    if (DEPLOYED.includes(instruction.keyword)) {
      draft.problems.push(atKeyword(instruction, { code: "bad-section", ...text }));
    } else warn(draft, instruction, keywordSpan(instruction), { code: "suspicious", ...text });
  }
  draft.declared = [];
  draft.image = noDeclarations();
  draft.scope = openScope(from, draft.options.deployBase);
}

/** Where the reference starts in `DEPLOY FROM reference`; undefined for the bare header. */
function readSectionFrom(instruction: Instruction): number | undefined {
  const [word, next] = splitWords(instruction.line, instruction.rest, instruction.escape);
  if (word === undefined) return undefined;
  if (instruction.line.text.slice(word.start, word.end).toUpperCase() === "FROM") return next?.start ?? word.end;
  const got = instruction.line.text.slice(word.start, word.end);
  return fail(instruction, word.start, word.end, {
    code: "bad-syntax",
    message: `unexpected ${quote(got)} after ${instruction.keyword}`,
    expected: `FROM and a reference, or nothing: steps stand on the lines below`,
  });
}

function readFromWords(instruction: Instruction, draft: Draft, at: number) {
  const [word, as, name, more] = splitWords(instruction.line, at, instruction.escape);
  const text = (span: { start: number; end: number }) => instruction.line.text.slice(span.start, span.end);
  if (word === undefined) return missing(instruction, "a reference such as debian:bookworm or scratch");
  if (text(word).startsWith("--")) {
    fail(instruction, word.start, word.end, {
      code: "not-supported",
      message: `${quote(text(word))} is not supported`,
      hint: "an image is built for the machine's own architecture: build on a machine of the other one",
    });
  }
  if (as !== undefined && (text(as).toUpperCase() !== "AS" || name === undefined || more !== undefined)) {
    const wrong = text(as).toUpperCase() === "AS" ? (more ?? as) : as;
    const message = `unexpected ${quote(text(wrong))} after the reference`;
    fail(instruction, wrong.start, wrong.end, { code: "bad-syntax", message, expected: "FROM reference [AS name]" });
  }
  const reference: Argument = { ...word, value: expandFrom(draft, instruction, word) };
  const alias = name === undefined ? undefined : text(name).toLowerCase();
  if (name !== undefined && !/^[a-z][a-z0-9._-]{0,63}$/.test(alias ?? "")) {
    const message = `bad stage name ${quote(text(name))}`;
    const expected = "a letter, then letters, digits, . _ or -";
    fail(instruction, name.start, name.end, { code: "bad-value", message, expected });
  }
  return { reference: readReference(instruction, reference), alias };
}

function refuseSecond(instruction: Instruction, first: { firstLine: number }): never {
  const message = `second ${instruction.keyword}: the first is in line ${first.firstLine}`;
  const expected = `one ${instruction.keyword} section`;
  throw new ProblemFound(atKeyword(instruction, { code: "duplicate", message, expected }));
}

function refuseStage(instruction: Instruction, draft: Draft): never {
  draft.stopped = true;
  const words = instruction.line.text.slice(instruction.rest).trim();
  const reference = words.split(/\s/)[0] ?? "";
  throw new ProblemFound(
    atKeyword(instruction, {
      code: "not-supported",
      message: `second FROM: the first is in line ${draft.from?.firstLine}`,
      expected: "at most two stages, written as the sections BOOTSTRAP and DEPLOY",
      suggestion: instruction.keyword === "FROM" && reference !== "" ? `DEPLOY FROM ${reference}` : undefined,
      hint: "then COPY --from=bootstrap takes files of the first, and COPY --from=IMAGE those of other images",
    }),
  );
}

function warnOfTag(draft: Draft, instruction: Instruction, from: From): void {
  if (from.kind !== "registry" || from.digest !== undefined || (from.tag ?? "latest") !== "latest") return;
  warn(draft, instruction, keywordSpan(instruction), {
    code: "suspicious",
    message: `${quote(from.reference)} names no version`,
    hint: "name a tag; the lock pins what it was, and --update takes what it became",
  });
}
