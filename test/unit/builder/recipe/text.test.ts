import { describe, expect, test } from "vitest";
import { copyOf, errorOf, read, readBelow, runOf, warningsOf } from "./read.ts";

describe("lines", () => {
  test("comments and empty lines stand anywhere between instructions", () => {
    expect(read("\n# a\n  # b\nFROM scratch\n\n\t# c\nRUN a\n#").bootstrap).toHaveLength(1);
  });

  test("a # behind an instruction's words starts a comment, inside a word it does not", () => {
    expect(copyOf("COPY a#b 'c #d' /e/ # f 'g").sources.map(({ path }) => path)).toEqual(["a#b", "c #d"]);
    expect(readBelow("ENV A=1 # B=2 \\\n  C=3").image.env).toMatchObject({ A: "1", C: "3" });
    expect(readBelow("ENV A=1 # B=2 \\\n  C=3").image.env).not.toHaveProperty("B");
    expect(readBelow('CMD ["a"] # b').image.cmd).toEqual(["a"]);
  });

  test("blanks may follow the character that continues a line, and a doubled one continues nothing", () => {
    expect(runOf("RUN a \\ \t\n b").command).toMatchObject({ script: "a  b" });
    expect(readBelow("RUN a \\\\\nRUN b").bootstrap.map(({ text }) => text)).toEqual(["RUN a \\\\", "RUN b"]);
  });

  test("an empty line inside a continued instruction is passed over with a warning", () => {
    expect(warningsOf("FROM scratch\nRUN a \\\n\n  b\n")).toBe(
      `shop.recipe:3:1: empty line inside a continued instruction
  3 |
    | ^
  hint: remove it, or end the line above without the continuation`,
    );
  });

  test("a last line that is continued ends with the file, with a warning", () => {
    expect(warningsOf("FROM scratch\nRUN a \\")).toBe(
      `shop.recipe:2:6: the last line is continued, but nothing follows
  2 | RUN a \\
    |      ^`,
    );
  });

  test("lines of Windows and a byte order mark give the same recipe", () => {
    const text = "# syntax=docker/dockerfile:1\nFROM scratch\nRUN a \\\n  b\nCOPY <<EOF /c\nd\nEOF\n";
    expect(read(`\uFEFF${text.replaceAll("\n", "\r\n")}`)).toEqual(read(text));
  });

  test("# escape=` changes what continues and escapes; below the first other line it is a comment", () => {
    const step = read("# syntax=x\n# ESCAPE = `\nFROM scratch\nCOPY a\\b `\n  c` d /e/\n").bootstrap[0];
    expect(step).toMatchObject({ sources: [{ path: "a\\b" }, { path: "c d" }] });
    expect(read("\n# escape=`\nFROM scratch\nRUN a \\\n b\n").bootstrap).toHaveLength(1);
  });

  test("an instruction knows its first and last line, its heredocs included", () => {
    const [first, second] = readBelow("RUN a \\\n  b\nRUN cat <<A <<B\n1\nA\n2\nB\n").bootstrap;
    expect([first?.position.line, first?.lastLine]).toEqual([2, 3]);
    expect([second?.position.line, second?.lastLine]).toEqual([4, 8]);
  });
});

describe("heredocs of RUN", () => {
  test("alone, they are the script", () => {
    expect(runOf("RUN <<EOF\n a $b\n\n'c'\nEOF").command).toEqual({
      form: "shell",
      script: " a $b\n\n'c'\n",
      shell: undefined,
    });
  });

  test("with #! they are a program of their own", () => {
    expect(runOf("RUN --network=none <<'E'\n#!/usr/bin/env python3\nprint(1)\nE").command).toEqual({
      form: "file",
      content: "#!/usr/bin/env python3\nprint(1)\n",
    });
  });

  test("behind a command they reach the shell as they are written", () => {
    expect(runOf("RUN cat <<-A 3<<B > /x && \\\n  y\n\t1\n\tA\n2\nB").command).toMatchObject({
      script: "cat <<-A 3<<B > /x &&   y\n\t1\n\tA\n2\nB\n",
    });
  });

  test("<<- takes leading tabs of a script away", () => {
    expect(runOf("RUN <<-EOF\n\t\ta\n\t  b\n\tEOF").command).toMatchObject({ script: "a\n  b\n" });
  });

  test("a delimiter may be quoted in part or escaped", () => {
    expect(runOf('RUN cat <<E"O"F\na\nEOF').command).toMatchObject({ script: 'cat <<E"O"F\na\nEOF\n' });
    expect(runOf("RUN cat <<\\EOF\na\nEOF").command).toMatchObject({ script: "cat <<\\EOF\na\nEOF\n" });
  });

  test("<< EOF with a blank is one when the line EOF follows, else it is the shell's", () => {
    expect(runOf("RUN cat << EOF\nRUN a\nEOF").command).toMatchObject({ script: "cat << EOF\nRUN a\nEOF\n" });
    expect(readBelow("RUN echo 1 << EOF\nRUN a").bootstrap).toHaveLength(2);
  });

  test.each([
    'RUN echo "<<EOF"',
    "RUN echo '<<EOF'",
    "RUN echo \\<\\<EOF",
    "RUN cat <<<EOF",
    "RUN echo $((1<<EOF))",
    "RUN (( x = (1 << 3) ))",
    "RUN true # <<EOF",
    'RUN ["cat", "<<EOF"]',
  ])("%s opens none", (text) => {
    expect(readBelow(`${text}\nRUN b`).bootstrap).toHaveLength(2);
  });

  test("instructions inside a heredoc are text", () => {
    expect(readBelow("RUN <<EOF\nRUNX\nCOPY ../a /b\nEOF\nRUN c").bootstrap).toHaveLength(2);
  });
});

describe("heredocs of COPY", () => {
  test("are files named for their delimiters; a quoted delimiter keeps variables", () => {
    const step = copyOf("ARG V=1\nCOPY <<a.txt b <<'c.txt' /d/\nv=$V \\$V \"q\" \\n\na.txt\nv=$V\nc.txt\n");
    expect(step.files.map(({ name, content }) => [name, content])).toEqual([
      ["a.txt", 'v=1 $V "q" \\n\n'],
      ["c.txt", "v=$V\n"],
    ]);
    expect(step).toMatchObject({ sources: [{ path: "b" }], destination: "/d", intoDirectory: true });
  });

  test("may be one file with its own name", () => {
    expect(copyOf("COPY --chmod=600 <<EOF /etc/app.conf\nEOF")).toMatchObject({
      files: [{ name: "EOF", content: "" }],
      destination: "/etc/app.conf",
      intoDirectory: false,
    });
  });
});

describe("warnings", () => {
  test.each([
    ["FROM node\n", "1:1", '"node" names no version'],
    ["FROM scratch\nCMD a\nCMD b\n", "3:1", "second CMD: the one in line 2 has no effect"],
    ["FROM scratch\nENTRYPOINT a\nENTRYPOINT b\n", "3:1", "second ENTRYPOINT: the one in line 2 has no effect"],
    [
      "FROM scratch\nHEALTHCHECK CMD a\nHEALTHCHECK NONE\n",
      "3:1",
      "second HEALTHCHECK: the one in line 2 has no effect",
    ],
    ["FROM scratch\nENV A b c\n", "2:5", "ENV without = is an old form: the rest of the line is one value"],
    ["FROM scratch\nENV A=$B\n", "2:7", 'unknown variable "B", it becomes empty'],
    ["FROM scratch\nARG DB_PASSWORD\n", "2:5", "ARG DB_PASSWORD puts a secret into the image for all to read"],
    ["FROM scratch\nMAINTAINER a\n", "2:1", "MAINTAINER is an old word"],
    ["FROM scratch\nCMD a\nDEPLOY FROM scratch\n", "2:1", "CMD in BOOTSTRAP is lost: DEPLOY FROM starts again"],
  ])("%j", (text, place, message) => {
    expect(warningsOf(text).split("\n")[0]).toBe(`shop.recipe:${place}: ${message}`);
  });

  test("a version, a digest or one command is no reason for any", () => {
    const digest = `sha256:${"0".repeat(64)}`;
    expect(warningsOf(`FROM node@${digest}\nENV A=$B\nCMD a\n`)).toBe("");
    expect(warningsOf("FROM node:20\n")).toBe("");
  });
});

describe("carets", () => {
  test("stand under the word where every column counts: tabs, wide and combining characters", () => {
    const rows = errorOf('FROM scratch\nLABEL\ta="日本" \u0065\u0301="\u{1F600}" ../x\n').split("\n");
    expect(rows[0]).toBe('shop.recipe:2:21: "../x" has no =');
    expect(rows[1]).toBe('  2 | LABEL   a="日本" \u0065\u0301="\u{1F600}" ../x');
    expect(rows[2]).toBe(`    | ${" ".repeat(8 + 9 + 7)}^^^^`);
  });
});
