import { expect, test } from "vitest";
import { describeExit } from "../../../hostd/exit.ts";

test.each([
  [{ code: 0 }, "exit code 0"],
  [{ code: 137, signal: "SIGKILL" }, "killed by SIGKILL"],
  [{ code: 7, oom: true } as const, "exit code 7: out of memory, the kernel killed it or a process of it"],
  [{}, "ended together with its parent, which alone could say how"],
])("describeExit: %j is told in words that hold for every launcher", (exit, expected) => {
  expect(describeExit(exit)).toBe(expected);
});
