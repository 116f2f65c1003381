import { afterAll, beforeAll, expect, test } from "vitest";
import type { FailureBundle } from "../../manifests/bundle.ts";
import { describeWith } from "../needs.ts";
import { HOST_PROGRAMS } from "./host-home.ts";
import { BROKEN_INIT, type Node, openLab, type UpgradeLab } from "./upgrade-lab.ts";

describeWith({ root: true, programs: HOST_PROGRAMS }, "a host that upgrades itself on real firmware", () => {
  let lab: UpgradeLab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.close());

  const booted = async (node: Node) => (await node.status()).host?.booted;

  test("a good version: staged, booted as a trial, blessed; and one command leads back", () =>
    lab.withNode("good", async (node) => {
      const first = await booted(node);
      expect(first).toMatchObject({ as: "good", root: lab.host.boot.root });
      expect((await node.status()).verity).toBe("every-read");
      const second = await lab.publish({ version: "2.0.0" });
      expect(await node.stage(second)).toMatchObject({ state: "done" });
      expect((await node.status()).host?.next).toMatchObject({ version: "2.0.0", hostdOnly: false });

      const upgraded = await node.ended(await node.begin("activate host"));
      expect(upgraded).toMatchObject({ state: "done", reverted: false });
      expect(await booted(node)).toMatchObject({ as: "good", root: second.root, version: "2.0.0" });
      expect((await node.machine.ssh("cat /usr/share/ostler-version /efi/loader/loader.conf")).stdout).toMatch(
        /^2\.0\.0.*default ostler-0002-/s,
      );

      const back = await node.ended(await node.begin("rollback host"));
      expect(back).toMatchObject({ state: "done" });
      expect(await booted(node)).toMatchObject({ as: "good", root: first?.root });
    }));

  test("one whose initrd panics is taken back at the first reset, with the kernel's last words", () =>
    lab.withNode("panic", async (node) => {
      const bad = await lab.publish({ version: "2.0.0", init: `${BROKEN_INIT}echo c >/proc/sysrq-trigger\n` });
      await node.stage(bad);
      const failed = await node.ended(await node.begin("activate host"));
      expect(failed).toMatchObject({ state: "failed", reverted: true, reason: { code: "trial-failed" } });
      expect(failed.afterwards?.healthy).toBe(true);
      expect(await booted(node)).toMatchObject({ as: "good", root: lab.host.boot.root });
      const bundle = (await node.hostd(`failure ${failed.id}`)) as FailureBundle;
      expect(bundle.boot?.records).toMatch(/sysrq|panic/i);
      expect((await node.status()).quarantine).toMatchObject([{ image: bad.image }]);
    }));

  test("the power goes while the trial boots: armed again, and blessed", () =>
    lab.withNode("cut", async (node) => {
      const second = await lab.publish({ version: "2.0.0" });
      await node.stage(second);
      const id = await node.begin("activate host");
      await node.machine.console.waitFor(`booting root ${second.root}`, 400_000);
      await node.machine.powerCut();
      node.machine.powerOn();
      const upgraded = await node.ended(id);
      expect(upgraded).toMatchObject({ state: "done" });
      expect(upgraded.notes.join()).toMatch(/without a trace.*armed again/);
      expect(await booted(node)).toMatchObject({ as: "good", root: second.root });
    }));
});
