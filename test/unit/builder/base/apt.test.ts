import { describe, expect, test } from "vitest";
import { parseAptSources, sourcesFor } from "../../../../builder/base/apt.ts";

describe("parseAptSources", () => {
  test("reads one-line lists: options, comments, and only binary archives", () => {
    const text =
      "# old\ndeb [signed-by=/k arch=amd64] http://m/debian bookworm main contrib # c\ndeb-src http://m/debian bookworm main\n";
    expect(parseAptSources(text)).toEqual([
      { uri: "http://m/debian", suite: "bookworm", components: ["main", "contrib"] },
    ]);
  });

  test("reads deb822 stanzas: several values, continuation lines, disabled ones left out", () => {
    const text = `Types: deb deb-src
URIs: http://m/debian
Suites: bookworm
 bookworm-updates
# a comment
Components: main

Types: deb
Enabled: no
URIs: http://off
Suites: x
Components: main
`;
    expect(parseAptSources(text)).toEqual([
      { uri: "http://m/debian", suite: "bookworm", components: ["main"] },
      { uri: "http://m/debian", suite: "bookworm-updates", components: ["main"] },
    ]);
  });
});

describe("sourcesFor", () => {
  const machine = [
    { uri: "http://other/repo", suite: "bookworm", components: ["stable"] },
    { uri: "http://mirror/debian/", suite: "bookworm", components: ["main"] },
    { uri: "http://mirror/security", suite: "bookworm-security", components: ["main"] },
  ];

  test("the machine's own archives serve its suite and any other", () => {
    expect(sourcesFor("trixie", "bookworm", machine)).toEqual([
      "deb http://mirror/debian trixie main",
      "deb http://mirror/debian trixie-updates main",
      "deb http://mirror/security trixie-security main",
    ]);
  });

  test("a machine that names none, and one that is not Debian, take Debian's public ones", () => {
    expect(sourcesFor("bookworm", undefined, machine)[0]).toBe("deb http://deb.debian.org/debian bookworm main");
    expect(sourcesFor("bookworm", "bookworm", [])[2]).toBe(
      "deb http://security.debian.org/debian-security bookworm-security main",
    );
    expect(sourcesFor("sid", "bookworm", machine)).toEqual(["deb http://mirror/debian sid main"]);
  });
});
