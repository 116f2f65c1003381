import { expect, test } from "vitest";
import { casesOf, FAULTS, prepareNode, suffer } from "../../hostd/matrix.ts";
import { withRig } from "../../hostd/rig.ts";
import { wrongJournal } from "../../hostd/whole.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup", "mkfs.ext4"] };

describeWith(NEEDS, "hostd at every step of an activation", () => {
  test.each(FAULTS)("struck by %s: the end that the table says, whole, with every record", (fault) =>
    withRig(
      async (rig) => {
        await prepareNode(rig);
        const acknowledged: string[] = [];
        const wrong: string[] = [];
        for (const one of casesOf("activate", [fault])) wrong.push(...(await suffer(rig, one, acknowledged)));
        await rig.stop();
        expect([...wrong, ...wrongJournal(rig)]).toEqual([]);
      },
      { disk: "ext4" },
    ),
  );
});
