import { expect, test } from "vitest";
import { howRunStands, showStatus } from "../../../../hostd/verbs/show.ts";
import type { StatusDocument } from "../../../../manifests/node.ts";

const at = "2026-11-28T03:00:00.000Z";
const status: StatusDocument = {
  schema: 1,
  hostd: { version: "1.0.0", pid: 7, started: at, state: "/var/lib/hostd", repository: "https://updates.example" },
  verity: "every-read",
  data: { driver: "copy" },
  apps: [],
  quarantine: [],
  problems: [],
};

test("a journal counts as sound since it was last verified, not since somebody tried to", () => {
  const look = { schema: 1 as const, at, due: 0 };
  const sound = { ...look, journal: { changes: 9, verified: at }, problems: [] };
  expect(showStatus({ ...status, care: sound })).toContain("\n  journal sound, verified 2026-11-28 03:00:00Z\n");
  const hindered = { ...look, journal: { changes: 9 }, problems: ["journal not verified: disk I/O error"] };
  const shown = showStatus({ ...status, care: hindered });
  expect(shown).toContain("\n  journal not verified: disk I/O error\n");
  expect(shown).not.toContain("sound");
});

test("a run under way is told by its beginning, one that ended by its end", () => {
  const run = { operation: 3, generation: 2, version: "1.0.0", started: at };
  expect(howRunStands({ ...run, state: "running" })).toBe("under way since 2026-11-28 03:00:00Z");
  const ended = "2026-11-28T03:00:02.000Z";
  expect(howRunStands({ ...run, state: "done", ended, exitCode: 0 })).toBe("exit code 0 after 2.0 s");
});
