import { expect, test } from "vitest";
import { torture } from "../../hostd/torture.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup", "mkfs.ext4", "mkfs.btrfs"] };

describeWith(NEEDS, "hostd ended at any moment of a change", () => {
  test.each([
    { title: "by ten kills", disk: "ext4", strike: "kill", rounds: 10, seed: 1 },
    { title: "by power cuts of an ext4", disk: "ext4", strike: "cut", rounds: 4, seed: 2 },
    { title: "by power cuts of a btrfs", disk: "btrfs", strike: "cut", rounds: 4, seed: 3 },
  ] as const)(
    "$title: one generation runs, healthy, and every record it acknowledged is there",
    async (options) => {
      const said: string[] = [];
      const { rounds, violations } = await torture({ ...options, say: (text) => said.push(text) });
      expect(violations, said.join("\n")).toEqual([]);
      expect(rounds).toHaveLength(options.rounds);
    },
    600_000,
  );
});
