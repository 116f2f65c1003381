import { describe, expect, test } from "vitest";
import { toHostStatus } from "../../../../hostd/host/status.ts";
import { hostStatusSchema } from "../../../../manifests/host.ts";
import { engineOf, versionOf } from "./staged.ts";

const [ONE, TWO] = ["1", "2"].map((digit) => versionOf(digit)) as [
  ReturnType<typeof versionOf>,
  ReturnType<typeof versionOf>,
];
const ROOT = "1".repeat(64);

const fails = (message: string) => async () => {
  throw Object.assign(new Error(message), { code: "EIO" });
};

/** A host that runs version 1, has version 2 beside it, and tells everything. */
const whole = () => ({
  machine: {
    booted: ROOT,
    started: ROOT,
    isGuarded: async () => true,
    bootTimes: async () => ({ kernel: 1, user: 2 }),
  },
  files: { good: async (): Promise<string | undefined> => ROOT },
  esp: { read: async () => ({ files: [], conf: "", free: 1, total: 2 }) },
  etc: {
    drift: async () => [{ path: "/etc/motd", how: "changed" }],
    undeclared: async () => [],
    isAlike: async () => true,
  },
  compareLayers: async () => ["usr/lib/hostd/hostd.mjs"],
});

describe("toHostStatus", () => {
  test("tells everything, and no problem where there is none", async () => {
    const status = await toHostStatus(engineOf([ONE, TWO], whole()));
    expect(hostStatusSchema.parse(status)).toEqual(status);
    expect(status).toMatchObject({
      booted: { root: ROOT, version: "1.0.0", as: "good" },
      esp: { total: 2, free: 1 },
      boot: { kernel: 1 },
      next: { version: "2.0.0", live: true },
      drift: [{ path: "/etc/motd" }],
    });
    expect(status).not.toHaveProperty("problem");
  });

  test.each([
    ["next", "next version: block 7", { ...whole(), compareLayers: fails("block 7") }],
    ["drift", "drift of /etc: block 7", { ...whole(), etc: { ...whole().etc, drift: fails("block 7") } }],
    ["esp", "ESP: block 7", { ...whole(), esp: { read: fails("block 7") } }],
    [
      "boot",
      "times of the boot: block 7",
      { ...whole(), machine: { ...whole().machine, bootTimes: fails("block 7") } },
    ],
    ["good", "last good system: block 7", { ...whole(), files: { good: fails("block 7") } }],
  ])("where %s cannot be told it says why, and tells the rest", async (what, problem, host) => {
    const [told, all] = await Promise.all([host, whole()].map((one) => toHostStatus(engineOf([ONE, TWO], one))));
    expect(hostStatusSchema.parse(told)).toEqual(told);
    expect(told?.problem).toBe(problem);
    const rest = { ...all, problem, ...(what === "good" ? { booted: { ...all?.booted, as: "other" } } : {}) };
    const without = what === "drift" ? { ...rest, drift: [] } : { ...rest, [what]: undefined };
    expect({ ...told, [what]: what === "drift" ? [] : undefined }).toEqual(without);
  });

  test("tells every problem", async () => {
    const host = { ...whole(), compareLayers: fails("block 7"), esp: { read: fails("not mounted") } };
    expect((await toHostStatus(engineOf([ONE, TWO], host)))?.problem).toBe("ESP: not mounted; next version: block 7");
  });
});
