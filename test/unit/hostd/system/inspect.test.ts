import { expect, test } from "vitest";
import { innerPid, inspectCommand } from "../../../../hostd/system/inspect.ts";

test("a tool enters the app's namespaces, but not its mounts, and is given the app's root", () => {
  const command = inspectCommand(812, 2, ["ps", "aux"]);
  expect(command.slice(0, 8)).toEqual(["nsenter", "--target", "812", "--pid", "--ipc", "--uts", "--net", "--"]);
  expect(command).not.toContain("--mount=/proc/812/ns/mnt");
  expect(command.slice(-4)).toEqual(["inspect", "/proc/2/root", "ps", "aux"]);
});

test.each([
  ["Name:\tx\nNSpid:\t812\t2\nThreads:\t1\n", 2],
  ["NSpid:\t812\n", 812],
  ["Name:\tx\n", undefined],
])("the inner pid in %j is %j", (status, expected) => {
  expect(innerPid(status)).toBe(expected);
});
