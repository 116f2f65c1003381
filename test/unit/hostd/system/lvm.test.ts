import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseUse } from "../../../../hostd/system/data-btrfs.ts";
import {
  activateArgs,
  createArgs,
  idsOf,
  parsePool,
  parseReport,
  removeArgs,
  renameArgs,
  reportArgs,
  snapshotArgs,
  volumeName,
} from "../../../../hostd/system/lvm.ts";

const pool = { group: "vg0", pool: "pool" };

describe("names", () => {
  test("app, kind and id stand in a volume's name and are found again, whatever they are", () => {
    const app = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?$/);
    const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9.-]{0,30}$/);
    const tree = fc.record({ app, kind: fc.constantFrom("versions", "snapshots", "half"), id });
    fc.assert(
      fc.property(fc.array(tree), tree, (trees, wanted) => {
        const volumes = trees.map((one) => ({ ...volume, name: volumeName(one as never) }));
        const expected = trees.filter((one) => one.app === wanted.app && one.kind === wanted.kind).map((one) => one.id);
        expect(idsOf(volumes, wanted.app, wanted.kind as "half")).toEqual(expected);
      }),
    );
  });

  test("refuses what LVM would: too long, or kept for itself", () => {
    const named = (id: string) => () => volumeName({ app: "shop", kind: "snapshots", id });
    expect(named("before-g4")()).toBe("hostd.shop.s.before-g4");
    for (const id of ["x".repeat(120), "a_tdata", "a b", "a/b"]) {
      expect(named(id)).toThrow(expect.objectContaining({ code: "wrong-name" }));
    }
  });

  test("parsePool: lvm:VG/POOL and nothing else", () => {
    expect(parsePool("lvm:vg0/pool")).toEqual(pool);
    for (const bad of ["", "auto", "lvm:", "lvm:vg0", "lvm:vg0/a/b", "lvm:-vg/pool", "lvm:vg0/po ol", "vg0/pool"]) {
      expect(() => parsePool(bad)).toThrow(expect.objectContaining({ outcome: "usage", code: "bad-option" }));
    }
  });
});

const volume = {
  name: "x",
  size: 0,
  data: undefined,
  metadata: undefined,
  created: new Date(0),
  active: true,
  failsWhenFull: false,
};

test("argument lists of the LVM tools", () => {
  expect(createArgs(pool, "hostd.shop.m.first", 4096)).toEqual([
    "lvcreate",
    "--yes",
    "--type=thin",
    "--thinpool=pool",
    "--virtualsize=4096b",
    "--name=hostd.shop.m.first",
    "vg0",
  ]);
  const kept = ["--permission=r", "--setactivationskip=y", "--name=b", "vg0/a"];
  expect(snapshotArgs(pool, "a", "b", true)).toEqual(["lvcreate", "--yes", "--snapshot", ...kept]);
  const written = ["--permission=rw", "--setactivationskip=n", "--name=b", "vg0/a"];
  expect(snapshotArgs(pool, "a", "b", false)).toEqual(["lvcreate", "--yes", "--snapshot", ...written]);
  expect(removeArgs(pool, "a")).toEqual(["lvremove", "--yes", "vg0/a"]);
  expect(renameArgs(pool, "a", "b")).toEqual(["lvrename", "vg0", "a", "b"]);
  expect(activateArgs(pool, "a", true)).toEqual(["lvchange", "--activate=y", "--ignoreactivationskip", "vg0/a"]);
  expect(activateArgs(pool, "a", false)).toEqual(["lvchange", "--activate=n", "vg0/a"]);
  expect(reportArgs(pool).at(-1)).toBe("vg0");
});

test("parseReport: what lvs says, and refuses what it never says", () => {
  const line = (change: object) => ({
    lv_name: "pool",
    lv_size: "104857600",
    data_percent: "12.50",
    metadata_percent: "10.94",
    lv_time: "1795792742",
    lv_active: "active",
    lv_when_full: "error",
    ...change,
  });
  const inactive = line({ lv_name: "s", data_percent: "", metadata_percent: "", lv_active: "", lv_when_full: "" });
  expect(parseReport(JSON.stringify({ report: [{ lv: [line({}), inactive] }] }))).toEqual([
    {
      name: "pool",
      size: 104_857_600,
      data: 0.125,
      metadata: 0.1094,
      created: new Date(1_795_792_742_000),
      active: true,
      failsWhenFull: true,
    },
    { ...volume, name: "s", size: 104_857_600, created: new Date(1_795_792_742_000), active: false },
  ]);
  expect(() => parseReport("{}")).toThrow();
  expect(() => parseReport(JSON.stringify({ report: [{ lv: [{ lv_name: "pool" }] }] }))).toThrow();
});

test("parseUse: total and exclusive of btrfs filesystem du", () => {
  const text = "     Total   Exclusive  Set shared  Filename\n   1048576       4096     1044480  /data/shop\n";
  expect(parseUse(text)).toEqual({ bytes: 1_048_576, exclusive: 4096 });
  expect(parseUse("")).toEqual({ bytes: 0 });
});
