import { isDigest } from "../../manifests/digest.ts";
import { nearest } from "../../terminal/nearest.ts";
import type { Argument } from "./arguments.ts";
import { type ProblemText, quote } from "./problem.ts";
import type { From } from "./recipe.ts";
import { positionAt } from "./source.ts";
import { fail, type Instruction } from "./split.ts";

const LONGEST = 512;
const TAG = /^\w[\w.-]{0,127}$/;
const NAME = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const REGISTRY = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const RELEASES: Readonly<Record<string, string>> = {
  "11": "bullseye",
  "12": "bookworm",
  "13": "trixie",
  "14": "forky",
};
const FORMS = "debian:SUITE, scratch, image:NAME, oci:DIR, tar:FILE or a registry reference";

/** What a FROM (or --from) names; the whole form is checked here, whether it exists is not. */
export function readReference(instruction: Instruction, at: Argument): From {
  const refuse: Refuse = (message, more = {}) =>
    fail(instruction, at.start, at.end, { code: "bad-reference", message, ...more });
  const { value } = at;
  const place = { reference: value, position: positionAt(instruction.line, at.start) };
  if (value === "") refuse("reference is empty", { expected: FORMS });
  if (value.length > LONGEST) refuse("reference is too long", { expected: `at most ${LONGEST} characters` });
  if (value.toLowerCase() === "scratch") return { ...place, kind: "scratch" };
  if (value === "debian" || value.startsWith("debian:") || value.startsWith("debian@")) {
    return { ...place, kind: "debian", suite: readSuite(value.slice("debian:".length), refuse) };
  }
  if (value.startsWith("image:")) return { ...place, kind: "image", ...readImage(value, "image:", refuse) };
  if (value.startsWith("oci:")) return { ...place, kind: "oci", ...readLayout(value.slice("oci:".length), refuse) };
  if (value.startsWith("tar:")) {
    if (value === "tar:") refuse("tar: names no file", { expected: "tar:FILE" });
    return { ...place, kind: "tar", path: value.slice("tar:".length) };
  }
  return { ...place, kind: "registry", ...readRegistry(value, refuse) };
}

type Refuse = (message: string, more?: Omit<ProblemText, "code" | "message">) => never;

/** `bookworm`, and as plain Dockerfiles have it `bookworm-slim` and `12`: a made Debian is minimal anyway. */
function readSuite(written: string, refuse: Refuse): string {
  const plain = written.replace(/-slim$/, "");
  const suite = RELEASES[plain] ?? plain;
  if (written.includes("sha256:")) {
    return refuse("debian: takes a suite, not a digest", {
      expected: "debian:SUITE",
      hint: "NAME.recipe.lock pins what was made; for an image of a registry write docker.io/library/debian@sha256:...",
    });
  }
  if (written === "" || written === "latest") {
    return refuse("no Debian suite is named", { expected: "debian:SUITE", suggestion: "debian:bookworm" });
  }
  if (/^[a-z][a-z0-9-]{1,31}$/.test(suite)) return suite;
  return refuse(`bad Debian suite ${quote(written)}`, { expected: "a suite such as bookworm, trixie or sid" });
}

function readImage(value: string, prefix: string, refuse: Refuse) {
  const { name, tag, digest } = splitName(value.slice(prefix.length), refuse);
  if (name === "") refuse(`${prefix} names no image`, { expected: `${prefix}NAME[:TAG|@sha256:...]` });
  checkName(name, refuse);
  return { name, tag, digest };
}

function readLayout(value: string, refuse: Refuse) {
  const colon = value.lastIndexOf(":");
  const tagged = colon >= 0 && !value.slice(colon).includes("/");
  const directory = tagged ? value.slice(0, colon) : value;
  const tag = tagged ? value.slice(colon + 1) : undefined;
  if (directory === "") refuse("oci: names no directory", { expected: "oci:DIR[:TAG]" });
  if (tag !== undefined) checkTag(tag, refuse);
  return { directory, tag };
}

function readRegistry(value: string, refuse: Refuse) {
  const { name, tag, digest } = splitName(value, refuse);
  const slash = name.indexOf("/");
  const host = slash < 0 ? "" : name.slice(0, slash);
  const hasHost = host === "localhost" || /[.:]/.test(host);
  if (hasHost && !REGISTRY.test(host)) refuse(`bad registry name ${quote(host)}`, { expected: "HOST or HOST:PORT" });
  const path = hasHost ? name.slice(slash + 1) : name;
  if (slash < 0) checkTyping(name, refuse);
  checkName(path, refuse);
  const repository = hasHost || slash >= 0 ? path : `library/${path}`;
  return { registry: hasHost ? host : "docker.io", repository, tag, digest };
}

function splitName(value: string, refuse: Refuse) {
  const [tagged = "", digest, ...more] = value.split("@");
  if (digest !== undefined && (more.length > 0 || !isDigest(digest))) {
    return refuse(`bad digest ${quote(value.slice(tagged.length + 1))}`, {
      expected: "sha256: and 64 lower-case hex digits",
    });
  }
  const colon = tagged.lastIndexOf(":");
  const hasTag = colon >= 0 && !tagged.slice(colon).includes("/");
  const tag = hasTag ? tagged.slice(colon + 1) : undefined;
  if (tag !== undefined) checkTag(tag, refuse);
  return { name: hasTag ? tagged.slice(0, colon) : tagged, tag, digest };
}

function checkTag(tag: string, refuse: Refuse): void {
  if (!TAG.test(tag)) refuse(`bad tag ${quote(tag)}`, { expected: "letters, digits, _ . and -, at most 128" });
}

function checkName(name: string, refuse: Refuse): void {
  if (NAME.test(name)) return;
  const lower = name.toLowerCase();
  refuse(`bad image name ${quote(name)}`, {
    expected: "lower-case letters and digits, parted by . _ - or /",
    suggestion: lower !== name && NAME.test(lower) ? lower : undefined,
  });
}

/** `debain:bookworm` would be a registry's image; it is a typing mistake. */
function checkTyping(name: string, refuse: Refuse): void {
  const known = name.length < 5 ? undefined : nearest(name, ["debian", "scratch"]);
  if (known === undefined || known === name) return;
  const hint = `for a registry's image of this name write docker.io/library/${name}`;
  refuse(`unknown base ${quote(name)}`, {
    expected: FORMS,
    suggestion: known === "debian" ? "debian:SUITE" : known,
    hint,
  });
}
