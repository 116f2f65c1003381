import { expect, test } from "vitest";
import { devicePrefix, openArgs } from "../../../../hostd/system/verity.ts";

test("openArgs: a layer file with its hash tree behind the image, as our writer lays it down", () => {
  const root = "a".repeat(64);
  expect(openArgs("/layers/a.erofs", "hostd-layer-a-1", { root, size: 40_960, format: 1 })).toEqual([
    "veritysetup",
    "open",
    "--no-superblock",
    "--salt=-",
    "--data-blocks=10",
    "--data-block-size=4096",
    "--hash-block-size=4096",
    "--hash-offset=40960",
    "/layers/a.erofs",
    "hostd-layer-a-1",
    "/layers/a.erofs",
    root,
  ]);
});

test("devicePrefix: each run directory has names of its own, short enough for a root and an inode behind them", () => {
  expect(devicePrefix("/run/hostd")).toBe("hostd-layer-");
  const other = devicePrefix("/tmp/rig/run");
  expect(other).toMatch(/^hostd-[0-9a-f]{8}-layer-$/);
  expect(devicePrefix("/tmp/rig-2/run")).not.toBe(other);
  expect(other.length + 64 + 1 + String(2 ** 64).length).toBeLessThan(128); // DM_NAME_LEN
});
