import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OPERATIONS, type StepName, stepRule } from "../../../../hostd/states.ts";
import { prepareHost, strike, wrongWithHost } from "../../../hostd/host-matrix.ts";
import { withHost } from "../../../hostd/host-rig.ts";
import { unlessRefused } from "../../../hostd/rig.ts";
import { describeWith } from "../../../needs.ts";

const NEEDS = { root: true, programs: ["mkfs.ext2", "mkfs.ext4", "losetup", "bwrap", "perl", "iconv"] };

const STEPS: readonly StepName[] = OPERATIONS.upgrade;
const moments = STEPS.flatMap((step) => [`upgrade.${step}.before`, `upgrade.${step}.after`]);
const undone = STEPS.filter((step) => stepRule(step).undo !== undefined && step !== "bless");
const undos = undone.flatMap((step) => [`upgrade.${step}.undo.before`, `upgrade.${step}.undo.after`]);

/** Each moment gets one of the two; which one alternates, so that every step gets both. */
const FAULTS = ["power cut", "kill"] as const;

/** Milliseconds for as many as there are steps, with a reboot or two for each. */
const LIMIT = 600_000;

/** What the versions make of their config: where it is the same, hostd alone differs, and is exchanged without a reboot. */
const WAYS = [
  ["by a reboot", {}],
  ["without a reboot", { issue: null }],
] as const;

describeWith(NEEDS, "a staging of the host that a power cut strikes", () => {
  test(
    "at any step of it goes on to its end: what the cut took is fetched once more",
    () =>
      withHost(
        async (host) => {
          const { rig } = host;
          const ends: string[] = [];
          const moments = OPERATIONS.stage.flatMap((step) => [`${step}.before`, `${step}.after`]);
          for (const [index, moment] of moments.entries()) {
            await host.publishHost({ version: `2.${index}.0`, kernel: `kernel ${index}` });
            await rig.kill();
            await rig.start({ fault: `stage.${moment}`, repository: rig.url });
            await rig.client.begin("host", "stage", {}).catch(unlessRefused);
            await rig.ended();
            await host.reset({ cut: true, start: false });
            await rig.start({ repository: rig.url });
            const [newest] = (await rig.client.changes({ app: "host", limit: 1 })).changes;
            const ended = await host.finish(newest?.id ?? 0);
            if (ended.state !== "done") ends.push(`${moment}: ${ended.reason?.message}`);
            expect((await rig.client.app("host")).slots[0]).toMatchObject({ version: `2.${index}.0`, state: "staged" });
            ends.push(...(await rig.client.fsck(false)).damaged.map(({ message }) => `${moment}: ${message}`));
            ends.push(...damagedParts(join(rig.state, "host/parts")).map((name) => `${moment}: part ${name}`));
          }
          expect(ends).toEqual([]);
        },
        { disk: "ext4" },
      ),
    LIMIT,
  );
});

describeWith(NEEDS, "an upgrade that is struck by a kill or a power cut", () => {
  test.each(WAYS)(
    "at every step of it, %s: the new system in the end, whole",
    (_way, config) =>
      withHost(
        async (host) => {
          const wrong: string[] = [];
          const versions = await prepareHost(host);
          for (const [index, point] of moments.entries()) {
            const [target, fault] = [versions[index % 2], FAULTS[index % 2]];
            if (target === undefined || fault === undefined) throw new Error("expected two versions");
            const ended = await strike(host, { point, fault, target });
            if (ended.state !== "done") wrong.push(`${point}: ${ended.state}, ${ended.reason?.message}`);
            wrong.push(...(await wrongWithHost(host, target)).map((text) => `${point}, ${fault}: ${text}`));
          }
          expect(wrong).toEqual([]);
        },
        { disk: "ext4", ...config },
      ),
    LIMIT,
  );

  test.each(WAYS)(
    "at every step of its revert, %s: the old system in the end, whole",
    (_way, config) =>
      withHost(
        async (host) => {
          const wrong: string[] = [];
          const [, current] = await prepareHost(host);
          const sick = await host.publishHost({ version: "3.0.0", how: "sick" });
          await host.upgrade("stage");
          for (const [index, point] of undos.entries()) {
            const fault = FAULTS[index % 2];
            if (current === undefined || fault === undefined) throw new Error("expected two versions");
            const ended = await strike(host, { point, fault, target: sick });
            if (ended.state !== "failed" || !ended.reverted) wrong.push(`${point}: ${ended.state}, ${ended.reverted}`);
            wrong.push(...(await wrongWithHost(host, current)).map((text) => `${point}, ${fault}: ${text}`));
            await host.rig.client.release(sick.image);
          }
          expect(wrong).toEqual([]);
        },
        { disk: "ext4", ...config },
      ),
    LIMIT,
  );
});

/** Parts of UKIs whose bytes are not what their names say. */
function damagedParts(directory: string): string[] {
  const isWhole = (name: string) =>
    createHash("sha256")
      .update(readFileSync(join(directory, name)))
      .digest("hex") === name;
  return readdirSync(directory).filter((name) => !isWhole(name));
}
