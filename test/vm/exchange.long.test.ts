import { afterAll, beforeAll, expect, test } from "vitest";
import type { FailureBundle } from "../../manifests/bundle.ts";
import { describeWith } from "../needs.ts";
import { HOST_PROGRAMS } from "./host-home.ts";
import { type Change, type Node, openLab, type UpgradeLab, type Version } from "./upgrade-lab.ts";

const MARKER = "usr/lib/hostd/ostler-version";

describeWith({ root: true, programs: HOST_PROGRAMS }, "hostd exchanged on a machine with firmware", () => {
  let lab: UpgradeLab;
  beforeAll(async () => {
    lab = await openLab({ prepare });
  });
  afterAll(() => lab?.close());

  /** What an exchange must not disturb. */
  async function prepare(node: Node, { publishApp }: UpgradeLab): Promise<void> {
    await node.push(
      await publishApp({ version: "1.0.0", port: 8080, within: 120_000, stable: 2_000, interval: 1_000 }),
    );
    for (const verb of ["stage", "activate"]) {
      expect(await node.ended(await node.begin(`${verb} shop`))).toMatchObject({ state: "done" });
    }
  }

  const publish = (version: string, change: Partial<Change> = {}): Promise<Version> =>
    lab.publish({ version, marker: MARKER, ...change });
  const answer = async (node: Node, command: string) => (await node.machine.ssh(command)).stdout.trim();
  const bootId = (node: Node) => answer(node, "cat /proc/sys/kernel/random/boot_id");
  const runs = (node: Node) => answer(node, `cat /${MARKER}`);
  const appProcess = async (node: Node) => (await node.status()).apps.find(({ app }) => app === "shop")?.process;

  test("up and back under dm-verity without a reboot, and the next boot is what it was blessed to be", () =>
    lab.withNode("exchange", async (node) => {
      await node.stage(await publish("2.0.0"));
      expect(await node.ended(await node.begin("activate host"))).toMatchObject({ state: "done" });
      const [boot, process] = [await bootId(node), await appProcess(node)];

      const third = await publish("3.0.0");
      expect(await node.stage(third)).toMatchObject({ state: "done" });
      expect((await node.status()).host?.next).toMatchObject({ version: "3.0.0", hostdOnly: true, live: true });
      const exchanged = await node.ended(await node.begin("activate host"));
      expect({ state: exchanged.state, why: exchanged.reason?.message }).toEqual({ state: "done" });
      expect(await runs(node)).toBe("3.0.0");
      expect(await bootId(node)).toBe(boot);
      expect(await appProcess(node)).toEqual(process);
      expect((await node.status()).verity).toBe("every-read");
      expect(await answer(node, "findmnt -no SOURCE /usr/lib/hostd")).toContain(third.root);

      const bad = await publish("4.0.0", { files: { "usr/lib/hostd/hostd": "#!/bin/sh\necho no good >&2; exit 1\n" } });
      await node.stage(bad);
      const failed = await node.ended(await node.begin("activate host"));
      expect(failed).toMatchObject({ state: "failed", reverted: true, reason: { code: "trial-failed" } });
      const { boot: left } = (await node.hostd(`failure ${failed.id}`)) as FailureBundle;
      expect(left?.journal).toMatch(/no good/);
      expect(await runs(node)).toBe("3.0.0");
      expect(await bootId(node)).toBe(boot);
      expect(await appProcess(node)).toEqual(process);

      await node.machine.ssh("systemctl reboot --no-block");
      await node.machine.console.waitFor(`booting root ${third.root}`, 600_000);
      await node.machine.waitForSsh("hostd status --json", 600_000);
      expect((await node.status()).host).toMatchObject({ booted: { as: "good", root: third.root, version: "3.0.0" } });
      expect(await bootId(node)).not.toBe(boot);
    }));

  test("the power goes while the exchanged one is on trial: the good one boots, exchanges it again, and it is blessed", () =>
    lab.withNode("exchange-cut", async (node) => {
      const second = await publish("2.0.0");
      await node.stage(second);
      expect(await node.ended(await node.begin("activate host"))).toMatchObject({ state: "done" });
      const third = await publish("3.0.0");
      await node.stage(third);
      const id = await node.begin("activate host --confirm-within 600");
      await node.machine.waitForSsh(`until grep -q 3.0.0 /${MARKER}; do sleep 0.2; done`, 300_000);
      await node.machine.powerCut();
      node.machine.powerOn();
      await node.machine.console.waitFor(`booting root ${second.root}`, 800_000);
      await node.machine.waitForSsh(`grep -q 3.0.0 /${MARKER} && hostd confirm`, 800_000);
      expect(await node.ended(id)).toMatchObject({ state: "done" });
      expect((await node.status()).host?.booted).toMatchObject({ as: "good", root: third.root });
    }));
});
