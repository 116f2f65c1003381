import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatDataCommand, partitionCommand } from "../../../../builder/disk/commands.ts";
import { DiskError } from "../../../../builder/disk/error.ts";
import { type DiskNeeds, guidOf, parseSize, planLayout } from "../../../../builder/disk/layout.ts";

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;

const NEEDS: DiskNeeds = {
  size: 10 * GiB,
  espSize: undefined,
  filesystem: "btrfs",
  uki: 20 * MiB,
  recovery: 0,
  layers: 500 * MiB,
  seed: "image and identity",
};

describe("planLayout", () => {
  it("gives the data partition all that the ESP leaves", () => {
    const { esp, data, partitions, room } = planLayout(NEEDS);
    expect(partitions).toEqual([esp, data]);
    expect(esp).toMatchObject({ number: 1, label: "ESP", type: "ef00", start: MiB, size: 256 * MiB });
    expect(data).toMatchObject({ number: 2, label: "ostler-data", start: 257 * MiB, size: 10 * GiB - 258 * MiB });
    expect(room).toEqual({ esp: 12, data: 18 });
  });

  it("plans an ESP for five versions that grew by a quarter, and for recovery twice", () => {
    const { esp, room } = planLayout({ ...NEEDS, uki: 60 * MiB, recovery: 80 * MiB });
    expect(esp.size).toBe(640 * MiB);
    expect(room.esp).toBeGreaterThanOrEqual(5);
  });

  it("halves what is left for LVM, and says so in the table", () => {
    const { data, partitions } = planLayout({ ...NEEDS, filesystem: "lvm" });
    expect(partitions.at(2)).toMatchObject({
      number: 3,
      label: "ostler-lvm",
      type: "8e00",
      start: data.start + data.size,
    });
    expect(partitions.at(2)?.size).toBeGreaterThanOrEqual(data.size);
  });

  it("never lets partitions overlap, leave the alignment, or touch the table at the end", () => {
    const needs = fc.record({
      size: fc.integer({ min: 100 * MiB, max: 64 * GiB }),
      espSize: fc.option(
        fc.integer({ min: 64, max: 2048 }).map((size) => size * MiB),
        { nil: undefined },
      ),
      filesystem: fc.constantFrom("btrfs" as const, "ext4" as const, "lvm" as const),
      uki: fc.integer({ min: 1, max: 200 * MiB }),
      recovery: fc.integer({ min: 0, max: 200 * MiB }),
      layers: fc.integer({ min: 4096, max: 8 * GiB }),
      seed: fc.string(),
    });
    fc.assert(
      fc.property(needs, (one) => {
        try {
          const { partitions, size } = planLayout(one);
          let end = MiB;
          for (const partition of partitions) {
            expect(partition.start).toBe(end);
            expect(partition.size % MiB).toBe(0);
            expect(partition.size).toBeGreaterThan(0);
            end += partition.size;
          }
          expect(end).toBeLessThanOrEqual(size - 33 * 512);
        } catch (error) {
          expect(error).toBeInstanceOf(DiskError);
        }
      }),
    );
  });

  it.each<[string, Partial<DiskNeeds>, string]>([
    ["a disk without room for two versions", { layers: 6 * GiB }, "hint: --size 14G"],
    ["an LVM disk without room for two versions", { layers: 3 * GiB, filesystem: "lvm" }, "hint: --size 14G"],
    ["an ESP for one UKI", { espSize: 64 * MiB, uki: 40 * MiB }, "hint: --esp-size"],
    ["a disk smaller than its partitions", { size: 300 * MiB }, "hint: --size 2G"],
  ])("refuses %s, and the hint would mend it", (_what, change, hint) => {
    const attempt = () => planLayout({ ...NEEDS, ...change });
    expect(attempt).toThrow(DiskError);
    try {
      attempt();
    } catch (error) {
      expect((error as DiskError).hint).toContain(hint.slice("hint: ".length));
    }
    const [, size] = /--size (\d+)G/.exec(hint) ?? [];
    if (size !== undefined) expect(() => planLayout({ ...NEEDS, ...change, size: Number(size) * GiB })).not.toThrow();
  });
});

describe("guidOf", () => {
  it("is a UUID of version 4 and variant 1, the same for the same seed, another for each thing", () => {
    fc.assert(
      fc.property(fc.string(), (seed) => {
        expect(guidOf(seed, "disk")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(guidOf(seed, "disk")).toBe(guidOf(seed, "disk"));
        expect(guidOf(seed, "ESP")).not.toBe(guidOf(seed, "disk"));
      }),
    );
  });
});

describe("parseSize", () => {
  it.each([
    ["512M", 512 * MiB],
    ["10G", 10 * GiB],
    ["10g", 10 * GiB],
    ["1T", 1024 * GiB],
    ["4GiB", 4 * GiB],
  ])("%s", (text, size) => expect(parseSize("--size", text)).toBe(size));

  it.each(["", "10", "0G", "-1G", "1.5G", "10K", "9999999G"])("refuses %j", (text) => {
    expect(() => parseSize("--size", text)).toThrow("--size: expected a size such as 512M or 10G");
  });
});

describe("commands", () => {
  it("gives each partition its place, type, name and identifier in one call", () => {
    const layout = planLayout(NEEDS);
    expect(partitionCommand(layout, "disk").slice(0, 7)).toEqual([
      "sgdisk",
      "--clear",
      `--disk-guid=${layout.guid}`,
      "--new=1:2048:526335",
      "--typecode=1:ef00",
      "--change-name=1:ESP",
      `--partition-guid=1:${layout.esp.guid}`,
    ]);
  });

  it("makes ext4 beside LVM", () => {
    expect(formatDataCommand(planLayout({ ...NEEDS, filesystem: "lvm" }), "tree", "file")[0]).toBe("mkfs.ext4");
  });
});
