import { expect, test } from "vitest";
import { LIMIT, strikeEverywhere } from "../../hostd/matrix.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup", "mkfs.ext4"] };

describeWith(NEEDS, "hostd at every step of an activation", () => {
  test(
    "struck by I/O errors of its disk: the end that the table says, whole, with every record",
    async () => expect(await strikeEverywhere("activate", "I/O error")).toEqual([]),
    LIMIT,
  );
});
