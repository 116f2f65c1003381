import { expect, test } from "vitest";
import { tortureHost } from "../../../hostd/host-torture.ts";
import { describeWith } from "../../../needs.ts";

const NEEDS = { root: true, programs: ["mkfs.ext2", "mkfs.ext4", "losetup", "bwrap", "perl", "iconv"] };

describeWith(NEEDS, "a host whose power goes at random moments", () => {
  test(
    "boots a proven system, healthy, and knows its state: a few cuts here, many by npm run torture:host",
    async () => expect(await tortureHost({ cuts: 4, seed: 11, say: () => {} })).toEqual([]),
    600_000,
  );
});
