import { Command, CommanderError, Option } from "commander";
import { EXIT_CODES, Failure, toFailureDocument } from "../manifests/failure.ts";
import { nearest } from "./nearest.ts";
import { writeOutput } from "./output.ts";
import { printable } from "./printable.ts";
import { openProgress, PROGRESS_KINDS, type ProgressKind } from "./progress.ts";
import type { Answer, OptionSpec, Verb } from "./verb.ts";

/** A command with verbs, each loaded only when it is called. */
export interface Program {
  name: string;
  summary: string;
  /** What `--version` prints. */
  version: string;
  /** Words of the verb, as typed (`keys init`) -> its file. */
  verbs: Readonly<Record<string, () => Promise<Verb>>>;
  /** Options that every verb takes. */
  options?: readonly OptionSpec[];
}

/** Words that ask for help, in place of a verb or of the rest of one. */
const HELP: ReadonlySet<string> = new Set(["--help", "-h", "help"]);
const INTERRUPTS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Of a stream's errors writeOutput tells those that matter. */
function toldElsewhere(): void {}

/** Runs one command line to its exit code. Answers go to standard output, everything else to standard error. */
export async function runProgram(program: Program, argv: readonly string[]): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) stream.off("error", toldElsewhere).on("error", toldElsewhere);
  const found = findVerb(program, argv);
  const own = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  const json = own.includes("--json") || (found !== undefined && !process.stdout.isTTY && !own.includes("--no-json"));
  try {
    if (found === undefined) return await withoutVerb(program, argv);
    return await runVerb(program, await found.load(), argv.slice(found.words), json);
  } catch (error) {
    return reportError(error, json);
  }
}

async function runVerb(program: Program, verb: Verb, argv: readonly string[], json: boolean): Promise<number> {
  const parsed = parse(program, verb, argv);
  if (parsed === undefined) return EXIT_CODES.ok;
  const { json: asked, progress: kind, ...options } = parsed.opts();
  const progress = openProgress(kind as ProgressKind, process.stderr);
  const interrupt = interruptSignal();
  try {
    const answer = await verb.run({
      arguments: parsed.processedArgs,
      options,
      progress: progress.report,
      json: asked === true,
      signal: interrupt.signal,
    });
    progress.close();
    if (answer.streamed !== true) await print(answer, json);
    return answer.exitCode ?? EXIT_CODES.ok;
  } finally {
    progress.close();
    interrupt.release();
  }
}

/** The commander command of a verb: what `--help` shows and what the parser accepts are one thing. */
export function toCommand(program: Pick<Program, "name" | "options">, verb: Verb): Command {
  const command = new Command(`${program.name} ${verb.name}`).description(verb.summary).exitOverride();
  for (const argument of verb.arguments ?? []) command.argument(argument.name, argument.summary);
  for (const spec of [...(verb.options ?? []), ...(program.options ?? [])]) {
    const option = new Option(spec.flags, spec.summary);
    if (spec.default !== undefined) option.default(spec.default);
    if (spec.choices !== undefined) option.choices([...spec.choices]);
    command.addOption(option);
  }
  command.addOption(new Option("--json", "print the answer as JSON (the default when piped; --no-json for text)"));
  command.addOption(new Option("--no-json").hideHelp());
  command.addOption(
    new Option("--progress <kind>", "how to show work going on").choices(PROGRESS_KINDS).default("auto"),
  );
  const examples = (verb.examples ?? []).map((example) => `  ${example}`);
  if (examples.length > 0) command.addHelpText("after", `\nExamples:\n${examples.join("\n")}`);
  return command
    .allowExcessArguments(false)
    .showSuggestionAfterError()
    .configureOutput({ outputError: () => {} });
}

function findVerb(program: Program, argv: readonly string[]) {
  for (const words of [3, 2, 1]) {
    const name = argv.slice(0, words).join(" ");
    const load = argv.length >= words ? program.verbs[name] : undefined;
    if (load !== undefined && Object.hasOwn(program.verbs, name)) return { load, words };
  }
  return undefined;
}

async function withoutVerb(program: Program, argv: readonly string[]): Promise<number> {
  const [word, second] = argv;
  if (word === "--version" || word === "-V" || word === "version") {
    process.stdout.write(`${program.name} ${program.version}\n`);
    return EXIT_CODES.ok;
  }
  const group = Object.keys(program.verbs).filter((name) => name.split(" ")[0] === word);
  const asksForHelp = word === undefined || HELP.has(word);
  if (!asksForHelp && group.length === 0) throw unknownVerb(program.name, Object.keys(program.verbs), word);
  if (!asksForHelp && second !== undefined && !second.startsWith("-") && !HELP.has(second)) {
    throw unknownVerb(
      `${program.name} ${word}`,
      group.map((name) => name.slice(word.length + 1)),
      second,
    );
  }
  const shown = asksForHelp ? Object.keys(program.verbs) : group;
  const lines = await Promise.all(shown.map(async (name) => [name, (await program.verbs[name]?.())?.summary ?? ""]));
  const width = Math.max(...shown.map((name) => name.length));
  const list = lines.map(([name = "", summary]) => `  ${name.padEnd(width)}  ${summary}`).join("\n");
  process.stdout.write(`${program.name}: ${program.summary}\n\n${list}\n\n${program.name} VERB --help tells more.\n`);
  return asksForHelp || (second !== undefined && HELP.has(second)) ? EXIT_CODES.ok : EXIT_CODES.usage;
}

function unknownVerb(program: string, verbs: readonly string[], word: string): Failure {
  const near = nearest(word, verbs);
  return new Failure("usage", "unknown-verb", `expected a verb of ${program}, got "${word}"`, {
    hint: near === undefined ? `${program} --help lists the verbs` : `did you mean ${program} ${near}?`,
  });
}

/** The parsed command line; undefined where it asked for help, which is then shown. */
function parse(program: Program, verb: Verb, argv: readonly string[]): Command | undefined {
  try {
    return toCommand(program, verb).parse(["node", program.name, ...argv]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const message = error.message.replace(/^error: /, "").replaceAll("\n", " ");
    throw new Failure("usage", "bad-arguments", message, { hint: `${program.name} ${verb.name} --help` });
  }
}

function reportError(error: unknown, json: boolean): number {
  const failure = toFailureDocument(toDenied(error));
  const stack = isOurMistake(error) ? `\n${error.stack}` : "";
  const hint = failure.hint === undefined ? "" : `hint: ${failure.hint}\n`;
  process.stderr.write(printable(`error: ${failure.message}${stack}\n${hint}`, process.stderr));
  if (json) process.stdout.write(`${JSON.stringify({ error: failure })}\n`);
  return failure.code === "left" ? EXIT_CODES.left : EXIT_CODES[failure.outcome];
}

/** What the system denies to whoever runs the command; any other error as it is. */
function toDenied(error: unknown): unknown {
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof Failure || (code !== "EACCES" && code !== "EPERM")) return error;
  return new Failure("failed", "not-permitted", `${path ?? syscall}: permission denied`, {
    cause: error,
    hint: "run it as root or as the owner, or name a place of your own",
  });
}

/** What neither we nor the system call that failed has words for is a bug: its stack is what a report needs. */
function isOurMistake(error: unknown): error is Error {
  return error instanceof Error && !(error instanceof Failure) && !("syscall" in error);
}

/** Prints an answer whole. */
async function print(answer: Answer, json: boolean): Promise<void> {
  const text = json
    ? `${JSON.stringify(answer.json, undefined, 2)}\n`
    : ensureNewline(printable(answer.text, process.stdout));
  await writeOutput(text);
}

function ensureNewline(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

/** The first Ctrl-C or SIGTERM asks the verb to end or to detach; the second ends the process. */
function interruptSignal() {
  const controller = new AbortController();
  const onInterrupt = () => {
    if (controller.signal.aborted) process.exit(EXIT_CODES.left);
    controller.abort(new Failure("failed", "interrupted", "interrupted"));
  };
  for (const name of INTERRUPTS) process.on(name, onInterrupt);
  const release = () => {
    for (const name of INTERRUPTS) process.off(name, onInterrupt);
  };
  return { signal: controller.signal, release };
}
