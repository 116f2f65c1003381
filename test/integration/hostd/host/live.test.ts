import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { publishRelease } from "../../../../keys/tuf/repository.ts";
import { allSigners } from "../../../foundation.ts";
import { type HostRig, withHost } from "../../../hostd/host-rig.ts";
import { eventually } from "../../../hostd/rig.ts";
import { describeWith } from "../../../needs.ts";

const NEEDS = { root: true, programs: ["mkfs.ext2", "losetup", "bwrap", "perl", "iconv"] };

/** Versions that make no files of /etc: nothing but hostd differs. */
const ALIKE = { issue: null };

const hostOf = async ({ rig }: HostRig) => {
  const { host } = await rig.client.status();
  if (host === undefined) throw new Error("expected a host in the status");
  return host;
};
const bootId = ({ firmware }: HostRig) =>
  readFileSync(join(firmware.machine, "proc/sys/kernel/random/boot_id"), "utf8");

describeWith(NEEDS, "a version that changes hostd alone", () => {
  test("is told beforehand, taken without a reboot, and booted from then on; the app's process is the same", () =>
    withHost(async (host) => {
      const { rig, firmware, first } = host;
      await rig.publish({ version: "1.0.0", stable: 100 });
      await rig.operate("deploy");
      const process = (await rig.client.app("shop")).process;
      const second = await host.publishHost({ version: "2.0.0" });
      await host.upgrade("stage");
      expect((await hostOf(host)).next).toMatchObject({ live: true, why: "only /usr/lib/hostd differs" });

      const boot = bootId(host);
      const upgraded = await host.upgrade("activate");
      expect(upgraded).toMatchObject({ kind: "upgrade", state: "done", reverted: false });
      expect(upgraded.steps.find(({ name }) => name === "target")?.detail).toBe(
        "2.0.0, without reboot: only /usr/lib/hostd differs",
      );
      expect(bootId(host)).toBe(boot);
      expect(await hostOf(host)).toMatchObject({
        booted: { version: "2.0.0", as: "good" },
        started: { version: "1.0.0", root: first.root },
        good: { root: second.root },
      });
      expect((await rig.client.app("shop")).process).toEqual(process);
      expect(firmware.defaultRoot()).toBe(second.root);

      await host.reset({ cut: true });
      const now = await hostOf(host);
      expect(now).toMatchObject({ booted: { version: "2.0.0", as: "good" } });
      expect(now.started).toBeUndefined();
    }, ALIKE));

  test("leads back without a reboot, and to a third version on top of it", () =>
    withHost(async (host) => {
      const { firmware, first } = host;
      const boot = bootId(host);
      await host.publishHost({ version: "2.0.0" });
      await host.upgrade("deploy");
      expect(await host.upgrade("rollback")).toMatchObject({ state: "done", version: "1.0.0" });
      const back = await hostOf(host);
      expect(back.booted).toMatchObject({ root: first.root, as: "good" });
      expect(back.started).toBeUndefined();
      for (const version of ["3.0.0", "4.0.0"]) {
        await host.publishHost({ version });
        expect(await host.upgrade("deploy")).toMatchObject({ state: "done", version });
      }
      expect(await hostOf(host)).toMatchObject({ booted: { version: "4.0.0" }, started: { version: "1.0.0" } });
      expect(bootId(host)).toBe(boot);
      const third = await host.publishHost({ version: "5.0.0", kernel: "kernel 6.2" });
      expect(await host.upgrade("deploy")).toMatchObject({ state: "done" });
      expect(bootId(host)).not.toBe(boot);
      expect(firmware.defaultRoot()).toBe(third.root);
    }, ALIKE));

  test("what the machine stands on is kept, however many versions are taken on top of it", () =>
    withHost(async (host) => {
      const { rig, first } = host;
      for (const number of [2, 3, 4, 5, 6]) {
        await host.publishHost({ version: `${number}.0.0` });
        expect(await host.upgrade("deploy")).toMatchObject({ state: "done" });
      }
      const slots = (await rig.client.app("host")).slots.map(({ version }) => version);
      expect(slots).toContain("1.0.0");
      expect(slots.length).toBeLessThan(6);
      expect(readdirSync(join(rig.state, "host/roots"))).toContain(first.root);
      await host.reset();
      await host.publishHost({ version: "7.0.0" });
      await host.upgrade("stage");
      expect((await rig.client.app("host")).slots.map(({ version }) => version)).not.toContain("1.0.0");
    }, ALIKE));

  test("has the /etc of the system that runs: what is changed afterwards is there after the reboot, and after collection", () =>
    withHost(async (host) => {
      const { rig, first } = host;
      const second = await host.publishHost({ version: "2.0.0" });
      await host.upgrade("deploy");
      writeFileSync(join(rig.state, "host/etc", first.root, "upper/motd"), "changed by hand\n");
      expect((await hostOf(host)).drift).toEqual([{ path: "/etc/motd", how: "changed" }]);
      await host.reset();
      for (const number of [3, 4, 5, 6]) {
        await host.publishHost({ version: `${number}.0.0`, kernel: `kernel ${number}` });
        expect(await host.upgrade("deploy")).toMatchObject({ state: "done" });
      }
      const etc = join(rig.state, "host/etc");
      const changed = (root: string) => readFileSync(join(etc, root, "upper/motd"), "utf8");
      const roots = readdirSync(etc);
      expect(roots).not.toContain(second.root);
      expect(roots).not.toContain(first.root);
      expect(roots.map(changed)).toEqual(roots.map(() => "changed by hand\n"));
      expect(roots.map((root) => lstatSync(join(etc, root, "upper")).isSymbolicLink())).not.toContain(true);
    }, ALIKE));

  test("what /etc of the running system stands on is kept, though its version was collected, came again and failed its trial", () =>
    withHost(async (host) => {
      const { rig, first } = host;
      for (const number of [2, 3, 4, 5]) {
        await host.publishHost({ version: `${number}.0.0` });
        expect(await host.upgrade("deploy")).toMatchObject({ state: "done" });
      }
      const upper = (root: string) => join(rig.state, "host/etc", root, "upper");
      writeFileSync(join(upper(first.root), "motd"), "changed by hand\n");
      await host.reset();
      await host.publishHost({ version: "6.0.0" });
      await host.upgrade("stage");
      expect((await rig.client.app("host")).slots.map(({ version }) => version)).not.toContain("1.0.0");

      const again = { ...first.release, sequence: 100, version: "1.0.0 again" };
      await publishRelease({ directory: rig.publisher.directory, signers: allSigners, now: new Date() }, again);
      await host.upgrade("stage");
      const failed = await host.upgrade("activate", { confirmWithin: 1 });
      expect(failed).toMatchObject({ state: "failed", reverted: true, image: first.image });
      const booted = (await hostOf(host)).booted;
      expect(booted.version).toBe("5.0.0");
      expect(readFileSync(join(upper(booted.root), "motd"), "utf8")).toBe("changed by hand\n");
    }, ALIKE));

  test.each([
    ["is sick", { how: "sick" }, "unhealthy", /bin.false: .*exit code 1/],
    ["does not come up", { hostd: "dies" }, "trial-failed", /^guard: its hostd ended 3 times$/],
  ] as const)("that %s is taken back without a reboot, quarantined, and says why", (_name, bad, code, why) =>
    withHost(async (host) => {
      const { rig, first } = host;
      const boot = bootId(host);
      await host.publishHost({ version: "2.0.0" });
      await host.upgrade("deploy");
      const third = await host.publishHost({ version: "3.0.0", ...bad });
      const failed = await host.upgrade("deploy");
      expect(failed).toMatchObject({ state: "failed", reverted: true, reason: { code } });
      expect(failed.reason?.message).toMatch(why);
      expect(failed.afterwards?.healthy).toBe(true);
      expect(bootId(host)).toBe(boot);
      expect(await hostOf(host)).toMatchObject({
        booted: { version: "2.0.0", as: "good" },
        started: { root: first.root },
      });
      expect((await rig.client.status()).quarantine).toMatchObject([{ image: third.image }]);
      expect((await rig.client.failure(failed.id)).boot).toMatchObject({ root: third.root });
    }, ALIKE),
  );

  test("reboots where that was asked for, and where /etc would be another one, and says why beforehand", () =>
    withHost(async (host) => {
      const { rig, first } = host;
      const boot = bootId(host);
      await host.publishHost({ version: "2.0.0" });
      const asked = await host.upgrade("deploy", { reboot: true });
      expect(asked).toMatchObject({ state: "done" });
      const why = (operation: typeof asked) => operation.steps.find(({ name }) => name === "target")?.detail;
      expect(why(asked)).toBe("2.0.0, reboot: only /usr/lib/hostd differs, but a reboot was asked for");
      expect(bootId(host)).not.toBe(boot);

      mkdirSync(join(rig.state, "host/etc", first.root, "upper"), { recursive: true });
      writeFileSync(join(rig.state, "host/etc", first.root, "upper/motd"), "as 1.0.0 left it\n");
      expect(why(await host.upgrade("rollback"))).toMatch(/but its \/etc was changed by hand in other ways$/);

      await host.publishHost({ version: "3.0.0", issue: "another" });
      await host.upgrade("stage");
      expect((await hostOf(host)).next).toMatchObject({
        hostdOnly: true,
        live: false,
        why: "only /usr/lib/hostd differs, but /etc/issue.d/host would be another one",
      });
      rmSync(join(host.firmware.machine, "usr/lib/systemd/system/hostd-exchange.service"));
      await host.publishHost({ version: "4.0.0" });
      await host.upgrade("stage");
      expect((await hostOf(host)).next?.why).toMatch(/but what runs has no guard/);
    }, ALIKE));

  test("reboots from a first disk, where nothing was declared for its config, and no more once it was", () =>
    withHost(
      async (host) => {
        const { rig, first } = host;
        const declared = (root: string) => join(rig.state, "host/etc", root, "declared/issue.d/host");
        expect(existsSync(declared(first.root))).toBe(false);
        const boot = bootId(host);
        const second = await host.publishHost({ version: "2.0.0" });
        await host.upgrade("stage");
        expect((await hostOf(host)).next).toMatchObject({
          hostdOnly: true,
          live: false,
          why: "only /usr/lib/hostd differs, but /etc/issue.d/host would be another one",
        });
        expect(await host.upgrade("activate")).toMatchObject({ state: "done" });
        expect(readFileSync(declared(second.root), "utf8")).toBe("host hello\n");
        const rebooted = bootId(host);
        expect(rebooted).not.toBe(boot);
        await host.publishHost({ version: "3.0.0" });
        expect(await host.upgrade("deploy")).toMatchObject({ state: "done" });
        expect(bootId(host)).toBe(rebooted);
      },
      { issue: "host" },
    ));

  test("waits for hostd confirm where that was asked for", () =>
    withHost(async (host) => {
      const { rig } = host;
      await host.publishHost({ version: "2.0.0" });
      await host.upgrade("stage");
      const alone = await host.upgrade("activate", { confirmWithin: 1 });
      expect(alone).toMatchObject({ state: "failed", reverted: true, reason: { code: "not-confirmed" } });
      await rig.client.release(alone.image ?? "");
      const begun = await rig.client.begin("host", "activate", { confirmWithin: 60 });
      const finished = host.finish(begun.id);
      await eventually(
        () => rig.client.confirm().catch(() => undefined),
        (operation) => operation !== undefined,
      );
      expect(await finished).toMatchObject({ state: "done" });
      expect(await hostOf(host)).toMatchObject({ booted: { version: "2.0.0" }, started: { version: "1.0.0" } });
    }, ALIKE));

  test("power that goes in its trial: armed again, and taken, still without a reboot of its own", () =>
    withHost(async (host) => {
      const { rig } = host;
      const second = await host.publishHost({ version: "2.0.0" });
      await host.upgrade("stage");
      const begun = await rig.client.begin("host", "activate", { confirmWithin: 60 });
      await eventually(
        async () => {
          if (await host.act()) await rig.start();
          return (await hostOf(host)).booted.root;
        },
        (root) => root === second.root,
      );
      await host.reset({ cut: true });
      expect((await hostOf(host)).booted).toMatchObject({ version: "1.0.0", as: "good" });
      const finished = host.finish(begun.id);
      await eventually(
        () => rig.client.confirm().catch(() => undefined),
        (operation) => operation !== undefined,
      );
      const ended = await finished;
      expect(ended).toMatchObject({ state: "done" });
      expect(ended.notes.join()).toMatch(/without a trace.*armed again/);
      expect(await hostOf(host)).toMatchObject({ booted: { version: "2.0.0" }, started: { version: "1.0.0" } });
    }, ALIKE));
});
