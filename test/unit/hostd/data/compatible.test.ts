import { describe, expect, test } from "vitest";
import { canRead, formatAfter, migrates, readableSnapshots } from "../../../../hostd/data/compatible.ts";
import { type App, appSchema } from "../../../../manifests/app.ts";

const app = (data: App["data"]): App => appSchema.parse({ schema: 1, name: "shop", data });
const path = "/var/lib/shop";

describe("canRead", () => {
  test.each<[App["data"], number | undefined, boolean]>([
    [[], 7, true],
    [[{ path, format: 2 }], undefined, true],
    [[{ path, format: 2 }], 2, true],
    [[{ path, format: 2 }], 1, false],
    [[{ path, format: 1 }], 2, false],
    [[{ path, format: 2, reads: ">=1 <3" }], 1, true],
    [[{ path, format: 2, reads: ">=1 <3" }], 3, false],
    [[{ path, format: 3, reads: "^3 || 1" }], 1, true],
    [[{ path, format: 3, reads: "^3 || 1" }], 2, false],
    [[{ path, format: 3, reads: "nonsense" }], 3, false],
  ])("data %j with format %s: %s", (data, format, expected) => {
    expect(canRead(app(data), format)).toBe(expected);
  });
});

test("formatAfter: an image raises the format of the data and never lowers it", () => {
  expect(formatAfter(app([{ path, format: 2 }]), undefined)).toBe(2);
  expect(formatAfter(app([{ path, format: 2 }]), 1)).toBe(2);
  expect(formatAfter(app([{ path, format: 1, reads: ">=1" }]), 2)).toBe(2);
  expect(formatAfter(app([]), 2)).toBe(2);
});

test("migrates: with a hook; in a rollback or a run only data of an older format than the image writes", () => {
  const data = [{ path, format: 2, reads: ">=1 <4" }];
  const hooked = appSchema.parse({ schema: 1, name: "shop", data, hooks: { migrate: { command: ["/m"] } } });
  expect([1, 2, 3, undefined].map((present) => migrates(hooked, present, "activate"))).toEqual([
    ...[true, true, true, true],
  ]);
  for (const kind of ["rollback", "run"] as const) {
    expect([1, 2, 3, undefined].map((present) => migrates(hooked, present, kind))).toEqual([
      ...[true, false, false, false],
    ]);
  }
  expect(migrates(app(data), 1, "activate")).toBe(false);
  expect(migrates({ ...hooked, data: [] }, 1, "run")).toBe(false);
});

test("readableSnapshots: those the image could work with that are not damaged, newest first", () => {
  const about = { app: "shop", operation: 1, reason: "", taken: "", consistency: "stopped" } as const;
  const snapshot = (id: string, format: number) => ({ ...about, id, format });
  const digest = { value: "1", files: 1, bytes: 1, at: "", damaged: "2026-11-28T12:00:00.000Z" };
  const bad = { ...snapshot("bad", 2), digest };
  const snapshots = [bad, snapshot("c", 3), snapshot("b", 2), snapshot("a", 1)];
  expect(readableSnapshots(app([{ path, format: 2, reads: "1 || 2" }]), snapshots).map(({ id }) => id)).toEqual([
    "b",
    "a",
  ]);
});
