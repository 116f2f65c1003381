import { describe, expect, test } from "vitest";
import { problemOf } from "../../../../hostd/host/floor.ts";
import { deadlineOf, differenceOf, wayOf } from "../../../../hostd/host/plan.ts";
import { refuseWithoutEspRoom } from "../../../../hostd/host/staging.ts";
import { bootTimesOf } from "../../../../hostd/host/times.ts";
import { bootExample } from "../../../../manifests/boot.ts";
import type { Digest } from "../../../../manifests/digest.ts";
import { policyExample } from "../../../../manifests/policy.ts";

const other: Digest = `sha256:${"9".repeat(64)}`;
const from = bootExample;
const to = { ...bootExample, root: "1".repeat(64) };

describe("differenceOf", () => {
  test.each([
    [
      "a hostd alone",
      to,
      ["usr/lib/hostd", "usr/lib/hostd/hostd.mjs"],
      { hostdOnly: true, why: "only /usr/lib/hostd differs" },
    ],
    ["nothing that differs", to, [], { hostdOnly: true, why: "only /usr/lib/hostd differs" }],
    ["a kernel", { ...to, kernelDigest: other }, [], { hostdOnly: false, why: "kernel differs" }],
    [
      "kernel and initrd",
      { ...to, kernelDigest: other, initrdDigest: other },
      [],
      { hostdOnly: false, why: "kernel and initrd differ" },
    ],
    ["a command line", { ...to, cmdline: "quiet" }, [], { hostdOnly: false, why: "command line differs" }],
    [
      "a program beside hostd",
      to,
      ["usr/lib/hostd/x", "usr/bin/sshd"],
      { hostdOnly: false, why: "/usr/bin/sshd differs" },
    ],
    ["many programs", to, ["etc/a", "etc/b", "etc/c"], { hostdOnly: false, why: "/etc/a and 2 more differ" }],
    ["a name that only begins so", to, ["usr/lib/hostdx"], { hostdOnly: false, why: "/usr/lib/hostdx differs" }],
    ["what could not be compared", to, undefined, { hostdOnly: false, why: "the two systems could not be compared" }],
  ] as const)("%s: told beforehand", (_name, next, changed, expected) => {
    expect(differenceOf(from, next, changed)).toEqual(expected);
  });

  test("where what runs is not known, a reboot", () => {
    expect(differenceOf(undefined, to, []).hostdOnly).toBe(false);
  });
});

describe("wayOf", () => {
  const only = { hostdOnly: true, why: "only /usr/lib/hostd differs" };
  const none = { reboot: false, guarded: true, config: [], etcAlike: true };

  test("hostd alone, with nothing in the way: without a reboot", () => {
    expect(wayOf(only, none)).toEqual({ ...only, live: true });
  });

  test("anything else that differs: a reboot, for the reason that was found", () => {
    expect(wayOf({ hostdOnly: false, why: "kernel differs" }, none)).toMatchObject({
      live: false,
      why: "kernel differs",
    });
  });

  test.each([
    [{ reboot: true }, "a reboot was asked for"],
    [{ guarded: false }, "what runs has no guard that would take it back"],
    [{ config: ["/etc/issue", "/etc/motd"] }, "/etc/issue would be another one"],
    [{ etcAlike: false }, "its /etc was changed by hand in other ways"],
  ])("%j: a reboot, and status says why", (hindrance, why) => {
    const way = { hostdOnly: true, live: false, why: `${only.why}, but ${why}` };
    expect(wayOf(only, { ...none, ...hindrance })).toEqual(way);
  });
});

test("deadlineOf: ten minutes, and what a confirmation may take besides", () => {
  expect([deadlineOf(undefined), deadlineOf(120)]).toEqual([600, 720]);
});

describe("problemOf", () => {
  const slot = { app: "shop", channel: "production", image: other, sequence: 3 };
  test("a version at the floor is allowed, one below it is not, a revoked one never", () => {
    expect(problemOf(policyExample, slot)).toBeUndefined();
    expect(problemOf(policyExample, { ...slot, sequence: 2 })).toBe(
      "sequence 2 is below the floor 3 of channel production",
    );
    expect(problemOf(policyExample, { ...slot, app: "host", sequence: 1 })).toBeUndefined();
    expect(problemOf(policyExample, { ...slot, image: `sha256:${"5".repeat(64)}` })).toBe("revoked: leaks orders");
  });
});

describe("refuseWithoutEspRoom", () => {
  const MB = 1024 * 1024;
  test("keeps a reserve, and asks for nothing where nothing is to be written", () => {
    expect(() => refuseWithoutEspRoom({ needed: 20 * MB, free: 24 * MB })).not.toThrow();
    expect(() => refuseWithoutEspRoom({ needed: 20 * MB, free: 24 * MB - 1 })).toThrow(
      /the ESP: expected 25165824 bytes free/,
    );
    expect(() => refuseWithoutEspRoom({ needed: 0, free: 0 })).not.toThrow();
  });
});

describe("bootTimesOf", () => {
  const lines = (firmware: number, loader: number, user: number, finish: number) =>
    `FirmwareTimestampMonotonic=${firmware}\nLoaderTimestampMonotonic=${loader}\nUserspaceTimestampMonotonic=${user}\nFinishTimestampMonotonic=${finish}\n`;
  test("who took how long; what is not known or not over yet is left out", () => {
    expect(bootTimesOf(lines(4_000_000, 1_500_000, 3_000_000, 9_000_000))).toEqual({
      firmware: 2500,
      loader: 1500,
      kernel: 3000,
      user: 6000,
    });
    expect(bootTimesOf(lines(0, 0, 3_000_000, 0))).toEqual({ kernel: 3000 });
    expect(bootTimesOf("")).toBeUndefined();
    expect(bootTimesOf("UserspaceTimestampMonotonic=soon")).toBeUndefined();
  });
});
