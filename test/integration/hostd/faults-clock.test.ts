import { expect, test } from "vitest";
import { LIMIT, strikeEverywhere } from "../../hostd/matrix.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup", "mkfs.ext4"] };

describeWith(NEEDS, "hostd at every step of an activation", () => {
  test.each(["clock -1 y", "clock +1 y"] as const)(
    "struck by %s: the end that the table says, whole, with every record",
    async (fault) => expect(await strikeEverywhere("activate", fault)).toEqual([]),
    LIMIT,
  );
});
