import semver from "semver";
import { isHostdUnit, RELOAD_SIGNALS, UNIT_NAME } from "../../../manifests/app.ts";
import { nearest } from "../../../terminal/nearest.ts";
import { type Argument, badValue, type FlagSpecs, flag, missing, onlyWord, readArguments } from "../arguments.ts";
import type { Draft } from "../draft.ts";
import { type Problem, type ProblemText, quote } from "../problem.ts";
import { positionAt } from "../source.ts";
import { atKeyword, fail, type Instruction } from "../split.ts";
import { contextPath, imagePath, whole } from "../values.ts";

const DATA_FLAGS: FlagSpecs = { format: { kind: "value" }, reads: { kind: "value" }, shared: { kind: "switch" } };
const CONFIG_FLAGS: FlagSpecs = { template: { kind: "value" }, reload: { kind: "value" }, unit: { kind: "value" } };
const SYSTEM = ["/", "/proc", "/sys", "/dev", "/tmp", "/run"];
const MOST_FORMAT = 1_000_000;

/** `DATA path [--format=N] [--reads="range"] [--shared]`: the app's data, the format it writes, and those it can read. */
export function readData(instruction: Instruction, draft: Draft): void {
  const { flags, words } = readArguments(instruction, draft, DATA_FLAGS);
  const at = onlyWord(instruction, words, "an absolute path");
  const path = appPath(instruction, draft, at);
  if (draft.image.data.length > 0) {
    const message = `second DATA: the first is ${draft.image.data[0]?.path}`;
    fail(instruction, at.start, at.end, { code: "duplicate", message, expected: "one DATA path" });
  }
  const formatAt = flag(flags, "format");
  const format = formatAt === undefined ? 1 : whole(instruction, formatAt, "data format", 1, MOST_FORMAT);
  const readsAt = flag(flags, "reads");
  if (readsAt !== undefined) checkReads(instruction, readsAt, format);
  draft.image.data.push({
    path,
    format,
    ...(readsAt === undefined ? {} : { reads: readsAt.value.trim() }),
    ...(flag(flags, "shared") === undefined ? {} : { shared: true }),
  });
}

/**
 * `CONFIG path --template=file [--reload=SIGNAL | --unit=NAME]`: a file made from the node's values at each switch; the template lies in
 * the context. With a signal, a change of it alone does not start the app again.
 */
export function readConfig(instruction: Instruction, draft: Draft): void {
  const { flags, words } = readArguments(instruction, draft, CONFIG_FLAGS);
  const at = onlyWord(instruction, words, "an absolute path");
  const path = appPath(instruction, draft, at);
  const templateAt = flag(flags, "template");
  if (templateAt === undefined) missing(instruction, "--template=FILE, a file in the context");
  if (draft.image.config.some((other) => other.path === path)) {
    fail(instruction, at.start, at.end, { code: "duplicate", message: `second CONFIG of ${path}` });
  }
  const template = contextPath(instruction, templateAt, "template");
  const reload = reloadSignal(instruction, flag(flags, "reload"));
  const position = positionAt(instruction.line, instruction.start);
  const unitAt = flag(flags, "unit");
  const unit = unitAt === undefined ? undefined : readUnit(instruction, unitAt);
  const told = { ...(reload === undefined ? {} : { reload }), ...(unit === undefined ? {} : { unit }) };
  draft.image.config.push({ path, template, ...told, position });
}

/** A name without a suffix is a service, as systemctl has it. */
function readUnit(instruction: Instruction, at: Argument): string {
  const unit = /\.[a-z]+$/.test(at.value) ? at.value : `${at.value}.service`;
  if (isHostdUnit(unit)) {
    return badValue(instruction, at, `${quote(at.value)} tells the others and cannot be told`, {
      expected: "no --unit: hostd reads it at its next start",
    });
  }
  if (UNIT_NAME.test(unit)) return unit;
  return badValue(instruction, at, `bad unit ${quote(at.value)}`, {
    expected: "a systemd unit such as systemd-timesyncd",
  });
}

/** What a host's file and an app's file cannot have of each other, and a file where the app's data is. */
export function checkConfig({ image, declared }: Draft): Problem[] {
  return image.config.flatMap((file) => {
    const instruction = declared.find(({ firstLine }) => firstLine === file.position.line);
    const text = wrongIn(file, image);
    return instruction === undefined || text === undefined ? [] : [atKeyword(instruction, text)];
  });
}

function wrongIn(file: Draft["image"]["config"][number], { boot, data }: Draft["image"]): ProblemText | undefined {
  const around = data.find(({ path }) => file.path.startsWith(`${path}/`));
  if (around !== undefined) {
    const message = `${file.path} lies in the app's data: a snapshot would hold it`;
    return { code: "bad-path", message, expected: `a path outside ${around.path}` };
  }
  if (boot !== undefined && file.reload !== undefined) {
    return { code: "bad-value", message: "a host has no process that gets a signal", expected: "--unit=NAME" };
  }
  if (boot === undefined && file.unit !== undefined) {
    return { code: "bad-value", message: "--unit is of a host alone", expected: "--reload=SIGNAL" };
  }
  return undefined;
}

function reloadSignal(instruction: Instruction, at: Argument | undefined) {
  if (at === undefined) return undefined;
  const found = RELOAD_SIGNALS.find((name) => name === at.value);
  if (found !== undefined) return found;
  return badValue(instruction, at, `bad signal ${quote(at.value)}`, {
    expected: `one of ${RELOAD_SIGNALS.join(", ")}`,
    suggestion: nearest(`SIG${at.value.toUpperCase().replace(/^SIG/, "")}`, RELOAD_SIGNALS),
  });
}

function appPath(instruction: Instruction, draft: Draft, at: Argument): string {
  const path = imagePath(instruction, at, draft.scope.workdir);
  if (!at.value.startsWith("/") && !draft.scope.hasWorkdir) {
    const message = `path ${quote(at.value)} is relative`;
    fail(instruction, at.start, at.end, { code: "bad-path", message, expected: "an absolute path", suggestion: path });
  }
  if (SYSTEM.includes(path) || /^\/(?:proc|sys|dev)\//.test(path)) {
    const message = `path ${path} belongs to the system`;
    const expected = "a directory of the app, such as /var/lib/shop";
    fail(instruction, at.start, at.end, { code: "bad-path", message, expected });
  }
  return path;
}

/** An image that cannot read what it writes itself could never be started twice. */
function checkReads(instruction: Instruction, at: Argument, format: number): void {
  const expected = 'a semver range of formats, such as ">=1 <3"';
  const range = at.value.length <= 256 ? semver.validRange(at.value) : null;
  if (range === null || at.value.trim() === "") {
    badValue(instruction, at, `bad range ${quote(at.value)}`, { expected });
  }
  if (!semver.satisfies(`${format}.0.0`, at.value)) {
    badValue(instruction, at, `range ${quote(at.value)} leaves out format ${format}, which this image writes`, {
      expected: `a range that holds ${format}`,
    });
  }
}
