import { type Health, healthSchema } from "../../../manifests/app.ts";
import {
  type Argument,
  badValue,
  type FlagSpecs,
  type Flags,
  flag,
  missing,
  readArguments,
  readFlags,
} from "../arguments.ts";
import { readArgv } from "../command.ts";
import { type Draft, keywordSpan, warn } from "../draft.ts";
import { quote } from "../problem.ts";
import { fail, type Instruction } from "../split.ts";
import { duration, port, whole } from "../values.ts";
import { skipRemarks } from "../words.ts";

const WINDOW = ["interval", "timeout", "within", "stable"] as const;
const AGE_FLAG = "max-age";
const FLAGS: FlagSpecs = Object.fromEntries([...WINDOW, AGE_FLAG].map((name) => [name, { kind: "value" }]));
const CHECK_FLAGS: FlagSpecs = Object.fromEntries(
  ["interval", "timeout", "start-period", "start-interval", "retries"].map((name) => [name, { kind: "value" }]),
);
const EXPECTED = 'http://HOST:PORT/PATH, tcp://HOST:PORT, file:/PATH, unit:NAME or a JSON array: ["/bin/check"]';
/** A Dockerfile's own values, which hold where a HEALTHCHECK says nothing. */
const CHECK_INTERVAL = 30_000;
const CHECK_RETRIES = 3;

/** `HEALTH http:..|tcp:..|file:..|unit:..|["program"] [--interval --timeout --within --stable]`; all must be good. */
export function readHealth(instruction: Instruction, draft: Draft): void {
  const { flags, words, array } = readArguments(instruction, draft, FLAGS, { json: true });
  const [target, surplus] = words[0]?.value === "exec" && array !== undefined ? words.slice(1) : words;
  if (array !== undefined && target === undefined) {
    const command = array.values.map(({ value }) => value);
    if (!command[0]) missing(instruction, EXPECTED);
    refuseAge(instruction, flags);
    draft.image.health.push(toHealth(instruction, { kind: "exec", command, ...readWindow(instruction, flags) }));
    return;
  }
  if (target === undefined) missing(instruction, EXPECTED);
  const extra = array === undefined ? surplus : target;
  if (extra !== undefined) {
    const message = `unexpected ${quote(extra.value)} after ${quote(words[0]?.value ?? "")}`;
    fail(instruction, extra.start, extra.end, { code: "bad-syntax", message, expected: EXPECTED });
  }
  draft.image.health.push(
    toHealth(instruction, { ...readTarget(instruction, target, flags), ...readWindow(instruction, flags) }),
  );
}

/**
 * `HEALTHCHECK [flags] CMD command` becomes an exec check; `NONE` takes it away; the last one holds. What Docker waits
 * until it calls a container unhealthy (start period and all retries) is how long the app may take to become healthy.
 */
export function readHealthcheck(instruction: Instruction, draft: Draft): void {
  const { flags, rest } = readFlags(instruction, draft, CHECK_FLAGS);
  const word = /^\S*/.exec(instruction.line.text.slice(rest))?.[0] ?? "";
  if (word === "") missing(instruction, "CMD and a command, or NONE");
  const previous = draft.declared.find((other) => other.keyword === "HEALTHCHECK");
  if (previous !== undefined) {
    const message = `second HEALTHCHECK: the one in line ${previous.firstLine} has no effect`;
    warn(draft, instruction, keywordSpan(instruction), { code: "suspicious", message });
  }
  if (word.toUpperCase() === "NONE") {
    const end = instruction.line.text.trimEnd().length;
    const next = skipRemarks(instruction.line, rest + word.length);
    if (next < end) {
      const message = `unexpected ${quote(instruction.line.text.slice(next, end))} after NONE`;
      fail(instruction, next, end, { code: "bad-syntax", message, expected: "the end of the instruction" });
    }
    draft.image.healthcheck = undefined;
    return;
  }
  if (word.toUpperCase() !== "CMD") {
    const message = `unexpected ${quote(word)} in HEALTHCHECK`;
    fail(instruction, rest, rest + word.length, {
      code: "bad-syntax",
      message,
      expected: "CMD and a command, or NONE",
    });
  }
  const command = readArgv(instruction, draft, rest + word.length);
  draft.image.healthcheck = toHealth(instruction, { kind: "exec", command, ...readCheckWindow(instruction, flags) });
}

function readTarget(instruction: Instruction, at: Argument, flags: Flags) {
  if (at.value.startsWith("file:")) return readFileTarget(instruction, at, flags);
  refuseAge(instruction, flags);
  if (at.value.startsWith("unit:")) return readUnitTarget(at);
  const url = URL.canParse(at.value) ? new URL(at.value) : undefined;
  if (url?.protocol === "http:" && url.hostname !== "" && url.username === "" && url.hash === "") {
    return { kind: "http" as const, url: at.value };
  }
  const [, bracketed, plain, number] = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d+)$/.exec(at.value) ?? [];
  if (number !== undefined) {
    return { kind: "tcp" as const, host: bracketed ?? plain ?? "", port: port(instruction, { ...at, value: number }) };
  }
  const hint = at.value.startsWith("https:")
    ? "hostd asks on the node itself: use plain http, or an exec check that speaks TLS"
    : undefined;
  return badValue(instruction, at, `bad health check ${quote(at.value)}`, { expected: EXPECTED, hint });
}

function readFileTarget(instruction: Instruction, at: Argument, flags: Flags) {
  const path = at.value.slice("file:".length).replace(/^\/\/(?=\/)/, "");
  if (!path.startsWith("/")) badValue(instruction, at, `bad path ${quote(path)}`, { expected: "file:/PATH" });
  const age = flag(flags, AGE_FLAG);
  return { kind: "file" as const, path, ...(age === undefined ? {} : { maxAge: duration(instruction, age) }) };
}

/** A unit without a suffix is a service, as systemctl has it. */
function readUnitTarget(at: Argument) {
  const unit = at.value.slice("unit:".length);
  return { kind: "unit" as const, unit: /\.[a-z]+$/.test(unit) ? unit : `${unit}.service` };
}

function refuseAge(instruction: Instruction, flags: Flags): void {
  const age = flag(flags, AGE_FLAG);
  if (age === undefined) return;
  badValue(instruction, age, "--max-age is of file checks alone", { expected: "HEALTH file:/PATH --max-age=1m" });
}

/** What the image document will hold; its schema has the last word. */
function toHealth(instruction: Instruction, check: unknown): Health {
  const result = healthSchema.safeParse(check);
  if (result.success) return result.data;
  const end = instruction.line.text.trimEnd().length;
  return badValue(instruction, { start: instruction.rest, end }, "bad health check", { expected: EXPECTED });
}

function readWindow(instruction: Instruction, flags: Flags) {
  const given = WINDOW.flatMap((name) => {
    const at = flag(flags, name);
    return at === undefined ? [] : [[name, duration(instruction, at, name === "stable")] as const];
  });
  return Object.fromEntries(given);
}

function readCheckWindow(instruction: Instruction, flags: Flags): Partial<Health> {
  if (flags.size === 0) return {};
  const time = (name: string, zero = false) => {
    const at = flag(flags, name);
    return at === undefined ? undefined : duration(instruction, at, zero);
  };
  const retriesAt = flag(flags, "retries");
  const retries =
    retriesAt === undefined ? CHECK_RETRIES : whole(instruction, retriesAt, "number of retries", 1, 1_000);
  const interval = time("interval") ?? CHECK_INTERVAL;
  const startInterval = time("start-interval");
  const timeout = time("timeout");
  return {
    interval: startInterval ?? interval,
    ...(timeout === undefined ? {} : { timeout }),
    within: (time("start-period", true) ?? 0) + retries * interval,
  };
}
