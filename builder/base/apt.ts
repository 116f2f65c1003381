import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** One suite of one archive that this machine's apt uses. */
export interface AptSource {
  uri: string;
  suite: string;
  components: string[];
}

const DEFAULT_MIRROR = "http://deb.debian.org/debian";
const DEFAULT_SECURITY = "http://security.debian.org/debian-security";

/** Both forms of apt's source lists: one-line (`deb [options] uri suite components`) and deb822 (`.sources`). */
export function parseAptSources(text: string): AptSource[] {
  return /^(?:Types|URIs|Suites):/im.test(text) ? parseDeb822(text) : text.split("\n").flatMap(parseLine);
}

function parseLine(line: string): AptSource[] {
  const [, uri, suite, components] = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line.trim()) ?? [];
  if (uri === undefined || suite === undefined || components === undefined) return [];
  return [{ uri, suite, components: components.trim().split(/\s+/) }];
}

function parseDeb822(text: string): AptSource[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string) =>
      new RegExp(`^${name}:(.*(?:\\n[ \\t].*)*)`, "im").exec(withoutComments(stanza))?.[1];
    const words = (name: string) => (field(name) ?? "").trim().split(/\s+/).filter(Boolean);
    if (!words("Types").includes("deb") || words("Enabled")[0]?.toLowerCase() === "no") return [];
    return words("URIs").flatMap((uri) =>
      words("Suites").map((suite) => ({ uri, suite, components: words("Components") })),
    );
  });
}

function withoutComments(stanza: string): string {
  return stanza
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n");
}

/**
 * The lines that a base of `suite` is made from, and keeps: the archives that this machine itself uses for its own
 * release (`codename`), with the suite in its place; Debian's public ones where the machine names none.
 */
export function sourcesFor(suite: string, codename: string | undefined, machine: readonly AptSource[]): string[] {
  const own = (name: string) =>
    machine.find((source) => source.suite === name && source.components.includes("main"))?.uri;
  const mirror = (codename === undefined ? undefined : own(codename)) ?? DEFAULT_MIRROR;
  const security = (codename === undefined ? undefined : own(`${codename}-security`)) ?? DEFAULT_SECURITY;
  const line = (uri: string, name: string) => `deb ${uri.replace(/\/$/, "")} ${name} main`;
  if (suite === "sid" || suite === "unstable") return [line(mirror, suite)];
  return [line(mirror, suite), line(mirror, `${suite}-updates`), line(security, `${suite}-security`)];
}

/** What this machine's apt reads. */
export function machineSources(etc = "/etc"): AptSource[] {
  const list = join(etc, "apt/sources.list");
  const directory = join(etc, "apt/sources.list.d");
  const parts = existsSync(directory) ? readdirSync(directory).sort() : [];
  const files = [
    list,
    ...parts.filter((name) => /\.(?:list|sources)$/.test(name)).map((name) => join(directory, name)),
  ];
  return files.filter(existsSync).flatMap((file) => parseAptSources(readFileSync(file, "utf8")));
}

/** `bookworm` on Debian 12; undefined on a machine that is not Debian. */
export function machineCodename(etc = "/etc"): string | undefined {
  const file = join(etc, "os-release");
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  if (!/^ID="?debian"?$/m.test(text)) return undefined;
  return /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(text)?.[1];
}
