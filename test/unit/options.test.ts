import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

/** Where verbs declare their options, and where somebody gives them on a command line. */
const VERBS = ["cli", "hostd/verbs"];
const USERS = ["test", "demo"];

test("every option of every command is given by some test or by the demo", () => {
  const users = USERS.flatMap((room) => sourcesBelow(room)).filter(({ path }) => path !== import.meta.filename);
  const given = new Set(users.flatMap(({ text }) => text.match(/--[a-z][a-z-]*/g) ?? []));
  const missing = VERBS.flatMap((room) => sourcesBelow(room)).flatMap(({ path, text }) =>
    [...text.matchAll(/flags: "(--[a-z-]+)/g)].flatMap(([, flag = ""]) =>
      given.has(flag) ? [] : [`${path}: ${flag}`],
    ),
  );
  expect(missing).toEqual([]);
});

function sourcesBelow(room: string): { path: string; text: string }[] {
  return readdirSync(join(ROOT, room), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(ROOT, room, name))
    .map((path) => ({ path, text: readFileSync(path, "utf8") }));
}
