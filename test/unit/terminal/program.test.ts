import { afterEach, expect, test, vi } from "vitest";
import { type Program, runProgram, toCommand } from "../../../terminal/program.ts";

const verb = {
  name: "stage",
  summary: "lay a version down beside the running one",
  arguments: [{ name: "<app>", summary: "product name" }],
  options: [{ flags: "--wait", summary: "until it is staged" }],
  examples: ["hostd stage shop"],
  run: async () => ({ json: {}, text: "" }),
};

test("toCommand: help lists arguments, options, the program's own options and examples", () => {
  const help = toCommand({ name: "hostd", options: [{ flags: "--socket <path>", summary: "hostd's socket" }] }, verb);
  let text = "";
  help.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  for (const part of [
    "hostd stage",
    "<app>",
    "--wait",
    "--socket <path>",
    "--json",
    "--progress",
    "hostd stage shop",
  ]) {
    expect(text).toContain(part);
  }
});

test("--version says which it is, and is no mistake", async () => {
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  expect(await runProgram(program, ["--version"])).toBe(0);
  expect(write).toHaveBeenCalledWith("ostler 1.2.3\n");
});

test("toCommand: an argument too many is refused", () => {
  const command = toCommand({ name: "hostd" }, verb).configureOutput({ writeErr: () => {} });
  expect(() => command.parse(["node", "hostd", "shop", "extra"])).toThrow(/too many arguments/);
});

const program: Program = {
  name: "ostler",
  summary: "images",
  version: "1.2.3",
  verbs: {
    full: async () => ({
      ...verb,
      name: "full",
      run: () => Promise.reject(Object.assign(new Error("ENOSPC"), { syscall: "write" })),
    }),
    denied: async () => ({
      ...verb,
      name: "denied",
      run: () =>
        Promise.reject(Object.assign(new Error("EACCES"), { code: "EACCES", syscall: "open", path: "/root/x" })),
    }),
    noisy: async () => ({
      ...verb,
      name: "noisy",
      run: () => Promise.resolve({ json: {}, text: "\x1b]0;owned\x07\ta\r\nb\rc\x9b2J" }),
    }),
    broken: async () => ({ ...verb, name: "broken", run: () => Promise.reject(new TypeError("x is not a function")) }),
    stage: async () => verb,
    "keys init": async () => verb,
    "keys list": async () => verb,
  },
};

afterEach(() => vi.restoreAllMocks());

async function runCaptured(...argv: string[]) {
  const printed = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    vi.spyOn(process[name], "write").mockImplementation((text, ...rest) => {
      printed[name] += text;
      const done = rest.at(-1);
      if (typeof done === "function") done(null);
      return true;
    });
  }
  const exitCode = await runProgram(program, argv);
  vi.restoreAllMocks();
  return { exitCode, ...printed };
}

test.each([
  { argv: ["stage"], message: "missing required argument 'app'", hint: "ostler stage --help" },
  {
    argv: ["stage", "x", "--wiat"],
    message: "unknown option '--wiat' (Did you mean --wait?)",
    hint: "ostler stage --help",
  },
  { argv: ["satge"], message: 'expected a verb of ostler, got "satge"', hint: "did you mean ostler stage?" },
  {
    argv: ["keys", "int"],
    message: 'expected a verb of ostler keys, got "int"',
    hint: "did you mean ostler keys init?",
  },
])("runProgram: $argv is a usage error, in words and as JSON alone", async ({ argv, message, hint }) => {
  const { exitCode, stdout, stderr } = await runCaptured(...argv, "--json");
  expect(exitCode).toBe(2);
  expect(stderr).toBe(`error: ${message}\nhint: ${hint}\n`);
  expect(JSON.parse(stdout).error).toMatchObject({ outcome: "usage", message, hint });
});

test("runProgram: what programs printed does nothing to a terminal, and is itself elsewhere", async () => {
  const { isTTY } = process.stdout;
  const print = async (onTerminal: boolean) => {
    process.stdout.isTTY = onTerminal;
    return (await runCaptured("noisy", "app", "--no-json")).stdout;
  };
  try {
    expect(await print(true)).toBe("\\x1b]0;owned\\x07\ta\r\nb\\x0dc\\x9b2J\n");
    expect(await print(false)).toBe("\x1b]0;owned\x07\ta\r\nb\rc\x9b2J\n");
  } finally {
    process.stdout.isTTY = isTTY;
  }
});

test("runProgram: help is the answer, and ends well", async () => {
  const { exitCode, stdout, stderr } = await runCaptured("stage", "--help");
  expect(exitCode).toBe(0);
  expect(stdout).toContain("Usage: ostler stage");
  expect(stderr).toBe("");
});

test.each([["--help"], ["-h"], ["help"]])(
  "runProgram: the verbs of a group that were asked for by %s are the answer; of the group alone, a usage error",
  async (word) => {
    const asked = await runCaptured("keys", word);
    expect(asked).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("keys init"), stderr: "" });
    expect(await runCaptured("keys")).toMatchObject({ exitCode: 2, stdout: asked.stdout });
  },
);

test("runProgram: what the system denies says where, and who may do it", async () => {
  const { exitCode, stderr } = await runCaptured("denied", "app");
  expect(exitCode).toBe(1);
  expect(stderr).toBe(
    "error: /root/x: permission denied\nhint: run it as root or as the owner, or name a place of your own\n",
  );
});

test("runProgram: what the system refuses is told in one line, a bug of ours with its stack", async () => {
  expect((await runCaptured("full", "app")).stderr).toBe("error: ENOSPC\n");
  expect((await runCaptured("broken", "app")).stderr).toMatch(/^error: x is not a function\nTypeError.*\n {4}at /);
});
