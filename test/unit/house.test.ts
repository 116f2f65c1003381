import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");

/** Which rooms a room may import, itself aside; docs/architecture.md draws the same arrows. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  manifests: [],
  effects: ["manifests"],
  terminal: ["manifests"],
  keys: ["manifests", "effects", "terminal"],
  images: ["manifests", "effects", "terminal", "keys"],
  builder: ["manifests", "effects", "terminal", "keys", "images"],
  hostd: ["manifests", "effects", "terminal", "keys", "images"],
  fleet: ["manifests", "effects", "terminal", "keys", "images", "hostd"],
  cli: ["manifests", "effects", "terminal", "keys", "images", "builder", "hostd", "fleet"],
};

const LONGEST_FILE = 400;

/** Node modules that act on the world; a room of pure code may not import them. */
const EFFECTS = /^node:(fs|child_process|net|http|https|sqlite|dgram|tls|worker_threads)/;

/** What such a module offers that only computes. */
const PURE_IMPORT = /^import \{ (?:isIP(?:v[46])?(?:, )?)+ \} from "node:net";$/gm;

const files = Object.keys(MAY_IMPORT)
  .filter((room) => existsSync(join(root, room)))
  .flatMap((room) => sourcesIn(room));

describe("the house", () => {
  test("imports point one way", () => {
    const wrong = files.flatMap((file) => {
      const room = file.split("/")[0] ?? "";
      return importsOf(file)
        .filter((name) => name.startsWith(".") && !name.endsWith("/package.json"))
        .map((name) => relative(root, join(root, dirname(file), name)).split("/")[0] ?? "")
        .filter((target) => target !== room && !MAY_IMPORT[room]?.includes(target))
        .map((target) => `${file} imports ${target}/`);
    });
    expect(wrong).toEqual([]);
  });

  test("manifests are pure: they act on nothing", () => {
    expect(effectsOf((file) => file.startsWith("manifests/"))).toEqual([]);
  });

  test("parsing and planning a recipe act on nothing", () => {
    expect(effectsOf((file) => file.startsWith("builder/recipe/"))).toEqual([]);
  });

  test("on the node, processes are started only in hostd/system", () => {
    const wrong = files.filter(
      (file) =>
        file.startsWith("hostd/") &&
        !file.startsWith("hostd/system/") &&
        importsOf(file).some((name) => name === "node:child_process" || name.endsWith("effects/process.ts")),
    );
    expect(wrong).toEqual([]);
  });

  test("a file is made durable in one place only", () => {
    const wrong = files.filter(
      (file) =>
        file !== "effects/durable.ts" && /\b(fsyncSync|fdatasyncSync)\b|\.(sync|datasync)\(\)/.test(textOf(file)),
    );
    expect(wrong.filter((file) => !STREAMS_THAT_SYNC.includes(file))).toEqual([]);
  });

  test("a decision in docs/adr has a number of its own", () => {
    const numbers = readdirSync(join(root, "docs/adr")).map((name) => name.slice(0, 4));
    expect(numbers).toEqual([...new Set(numbers)]);
  });

  test(`no file is longer than ${LONGEST_FILE} lines`, () => {
    expect(files.filter((file) => textOf(file).split("\n").length > LONGEST_FILE)).toEqual([]);
  });
});

/** Writers of large files, which sync the file they stream before effects/durable.ts renames it. */
const STREAMS_THAT_SYNC = ["images/store.ts", "images/layer/laydown.ts", "images/layer/layerfile.ts"];

function effectsOf(chosen: (file: string) => boolean): string[] {
  return files.filter(chosen).flatMap((file) =>
    importsOf(file)
      .filter((name) => EFFECTS.test(name))
      .map((name) => `${file} imports ${name}`),
  );
}

function sourcesIn(room: string): string[] {
  return readdirSync(join(root, room), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `${room}/${name}`);
}

function importsOf(file: string): string[] {
  return [
    ...textOf(file)
      .replaceAll(PURE_IMPORT, "")
      .matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g),
  ].map((match) => match[1] ?? "");
}

function textOf(file: string): string {
  return readFileSync(join(root, file), "utf8");
}
