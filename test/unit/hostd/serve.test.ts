import { expect, test } from "vitest";
import { readOptions } from "../../../hostd/serve.ts";
import { verb as serve, serveOptions } from "../../../hostd/verbs/serve.ts";

const defaults = Object.fromEntries(
  (serve.options ?? []).flatMap(({ flags, default: standard }) =>
    standard === undefined ? [] : [[nameOf(flags), standard]],
  ),
);

/** What `hostd serve` makes of a command line that has these options beside a repository. */
function read(given: Readonly<Record<string, string>> = {}) {
  const named = Object.fromEntries(Object.entries(given).map(([flag, value]) => [nameOf(flag), value]));
  return readOptions(serveOptions({ ...defaults, repository: "/srv/repository", ...named }));
}

function nameOf(flags: string): string {
  const [, words = ""] = /^--([a-z-]+)/.exec(flags) ?? [];
  return words.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

test("without options it keeps three versions, stages two at once, and gives each script a minute", () => {
  const { settings, launcher, repository, socket } = read();
  expect({ launcher, repository, socket }).toEqual({
    launcher: "auto",
    repository: "/srv/repository",
    socket: "/run/hostd/hostd.sock",
  });
  expect(settings).toMatchObject({
    channel: "production",
    keep: 3,
    reserve: 256_000_000,
    stagings: 2,
    onSick: "restart",
    checks: { directories: ["/usr/lib/hostd/checks", "/etc/hostd/checks"], timeout: 60_000 },
    snapshots: { count: 12, bytes: undefined, ttl: 14 * 86_400_000 },
    care: { every: 3_600_000, scrubEvery: 7 * 86_400_000 },
    follow: undefined,
  });
});

test.each([
  [{ "--stagings": "5" }, { stagings: 5 }],
  [{ "--keep": "1" }, { keep: 1 }],
  [{ "--reserve": "0" }, { reserve: 0 }],
  [{ "--check-timeout": "0.5" }, { checks: { timeout: 500 } }],
  [{ "--vendor-checks": "/opt/checks" }, { checks: { directories: ["/opt/checks", "/etc/hostd/checks"] } }],
  [{ "--snapshot-bytes": "20G", "--snapshot-ttl": "never" }, { snapshots: { bytes: 20e9, ttl: undefined } }],
  [{ "--care": "30m", "--scrub": "1d" }, { care: { every: 1_800_000, scrubEvery: 86_400_000 } }],
  [{ "--follow": "activate", "--between": "23:30-05:00" }, { follow: { how: "activate", between: expect.anything() } }],
])("%o is read", (given, settings) => {
  expect(read(given as Record<string, string>).settings).toMatchObject(settings);
});

test.each([
  ["--stagings", "0"],
  ["--stagings", "1.5"],
  ["--keep", "none"],
  ["--reserve", "-1"],
  ["--check-timeout", "0"],
  ["--snapshots", "0"],
  ["--snapshot-bytes", "lots"],
  ["--snapshot-ttl", "soon"],
  ["--rate", "0"],
  ["--on-sick", "panic"],
  ["--launcher", "docker"],
  ["--care", "400d"],
  ["--follow", "maybe"],
  ["--between", "02:00-05:00"],
  ["--run", `/${"r".repeat(120)}`],
])("%s %s is refused by its name", (flag, value) => {
  expect(() => read({ [flag]: value })).toThrow(flag);
});
