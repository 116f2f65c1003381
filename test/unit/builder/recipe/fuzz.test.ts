import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RecipeError } from "../../../../builder/recipe/error.ts";
import { INSTRUCTIONS } from "../../../../builder/recipe/instructions/table.ts";
import { parseRecipe } from "../../../../builder/recipe/parse.ts";
import { renderProblem } from "../../../../builder/recipe/render.ts";

/** Milliseconds of processor time, far above what a recipe of these sizes takes; a hang is what it finds. */
const SLOW = 2_000;

/** Accepts or refuses with a RecipeError whose every problem lies inside the text; nothing else may come out. */
function survive(text: string | Uint8Array): void {
  const started = process.cpuUsage();
  try {
    parseRecipe(text, "shop.recipe").warnings.map(renderProblem);
  } catch (error) {
    if (!(error instanceof RecipeError)) throw error;
    const lines = (typeof text === "string" ? text : new TextDecoder().decode(text)).split("\n");
    for (const { position, length } of error.problems) {
      expect(position.line).toBeGreaterThanOrEqual(1);
      expect(position.line).toBeLessThanOrEqual(lines.length);
      expect(position.column).toBeGreaterThanOrEqual(1);
      expect(position.column).toBeLessThanOrEqual([...(lines[position.line - 1] ?? "")].length + 1);
      expect(length).toBeGreaterThanOrEqual(1);
    }
  }
  const { user, system } = process.cpuUsage(started);
  expect((user + system) / 1_000).toBeLessThan(SLOW);
}

const PIECES = [
  ...INSTRUCTIONS.keys(),
  ..."debian:bookworm scratch image:a oci:d:t tar:f node:20 a@sha256:x AS b --from=bootstrap --closure --chown=a:b".split(
    " ",
  ),
  ..."--mount=type=cache,target=/c --mount=type=secret,id=a,env=B --mount= --network=none --timeout=1s --interval=".split(
    " ",
  ),
  ..."--format=2 --reads=>=1 --template=a.tmpl --chmod=u+x --exclude=* -- --x http://a:1/b tcp://a:1 exec NONE".split(
    " ",
  ),
  ...`a/b ../a /etc . .. ./ .* [a] [ ] ]] [" "a", ['a'] $A \${A \${A:- } \${A%%*b} \${A//b/c} $ $1 A=$A A=1 A= =`.split(
    " ",
  ),
  ..."<<EOF <<-EOF <<'E' << <<< EOF E (( )) ( ) # ' \" ` \\ && | ; \t \r 80 127.0.0.1:80 [::]:1 80/udp 1s é 日 😀".split(
    " ",
  ),
  "\n",
  "\n",
  "\n",
  "\\\n",
  "\nEOF\n",
  "# escape=`\n",
  "\0",
  "\uFEFF",
  "\uD800",
];

describe("parseRecipe: whatever comes in", () => {
  test("random bytes are parsed or refused", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), survive), { numRuns: 500 });
  });

  test("random text is parsed or refused", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 400 }), survive), { numRuns: 500 });
  });

  test("words of recipes in any order are parsed or refused", () => {
    const soup = fc.array(fc.constantFrom(...PIECES), { maxLength: 60 }).map((pieces) => pieces.join(" "));
    fc.assert(fc.property(soup, survive), { numRuns: 1_500 });
  });

  test("instructions with any arguments below a good FROM are parsed or refused", () => {
    const word = fc.constantFrom(...INSTRUCTIONS.keys());
    const line = fc
      .tuple(word, fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }))
      .map(([w, rest]) => [w, ...rest].join(" "));
    const text = fc.array(line, { maxLength: 12 }).map((lines) => ["FROM debian:bookworm", ...lines].join("\n"));
    fc.assert(fc.property(text, survive), { numRuns: 1_500 });
  });

  test("one recipe always gives one result", () => {
    const line = fc.tuple(
      fc.constantFrom("RUN", "ENV", "COPY", "LABEL"),
      fc.constantFrom("a b", "A=1", "x /y", "A=$A"),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = `FROM scratch\n${lines.map((words) => words.join(" ")).join("\n")}`;
        const once = () => {
          try {
            return JSON.stringify(parseRecipe(text, "shop.recipe"));
          } catch (error) {
            return (error as Error).message;
          }
        };
        expect(once()).toBe(once());
      }),
    );
  });
});

describe("parseRecipe: hostile sizes end soon", () => {
  const long = (piece: string, times: number) => piece.repeat(times);
  test.each([
    ["a megabyte of words", `COPY ${Array.from({ length: 15 }, () => long("a ", 32_000)).join("\\\n")} /b/`],
    ["a megabyte of bad flags", `COPY ${Array.from({ length: 15 }, () => long("--x ", 16_000)).join("\\\n")} /b`],
    ["parentheses and shifts", `RUN ${long("(", 30_000)}${long("<< ", 10_000)}`],
    ["heredocs that never end", long("RUN cat <<A\n", 9_000)],
    ["a variable that doubles itself", `ENV A=aaaaaaaaaaaaaaaa\n${long("ENV A=$A$A\n", 100)}`],
    ["a pattern that matches everywhere", `ENV A=${long("a", 60_000)}\n${long(`ENV B=\${A//a*b/c}\n`, 500)}`],
    ["substitutions inside one another", `ENV A=${long("${A:-", 10_000)}`],
    ["unknown variables", `ENV A=${Array.from({ length: 15 }, () => long("$x", 32_000)).join("\\\n")}`],
    ["bad paths", long(`COPY ${long("../x ", 4_000)}/y/\n`, 50)],
    ["unknown instructions", long("RUNX a\n", 9_000)],
  ])(
    "%s",
    (_title, text) => {
      survive(`FROM scratch\n${text}\n`);
    },
    60_000, // it takes a second; a busy machine is no endless parser
  );
});
