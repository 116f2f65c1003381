import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { run } from "../../../../effects/process.ts";
import { type HostRig, withHost } from "../../../hostd/host-rig.ts";
import { eventually } from "../../../hostd/rig.ts";
import { describeWith } from "../../../needs.ts";

const NEEDS = { root: true, programs: ["mkfs.ext2", "losetup", "bwrap", "perl", "iconv"] };

const entryOf = (root: string, number: number) => `ostler-${String(number).padStart(4, "0")}-${root.slice(0, 12)}.efi`;
const hostOf = async ({ rig }: HostRig) => {
  const { host } = await rig.client.status();
  if (host === undefined) throw new Error("expected a host in the status");
  return host;
};
const isGood = async (host: HostRig, version: string) =>
  expect((await hostOf(host)).booted).toMatchObject({ version, as: "good" });

describeWith(NEEDS, "hostd and the system it runs on", () => {
  test("what the disk was laid down with is adopted as good, once, and told in the status", () =>
    withHost(async (host) => {
      const { rig, first } = host;
      await isGood(host, first.version);
      const status = await hostOf(host);
      expect(status).toMatchObject({
        good: { root: first.root },
        entries: [{ name: entryOf(first.root, 1), default: true, root: first.root }],
        recovery: true,
        boot: { firmware: 3000, loader: 1000, kernel: 3000, user: 6000 },
        drift: [],
      });
      expect(status.entries).toHaveLength(1);
      await rig.stop();
      await host.reset();
      const { changes } = await rig.client.changes({ app: "host" });
      expect(changes.map(({ kind, state }) => [kind, state])).toEqual([["adopt", "done"]]);
    }));

  test("a good version: staged without touching the next boot, then booted, judged, blessed; the app is back", () =>
    withHost(async (host) => {
      const { rig, firmware, first } = host;
      await rig.publish({ version: "1.0.0", stable: 100 });
      expect((await rig.operate("deploy")).state).toBe("done");
      const second = await host.publishHost({ version: "2.0.0", beside: true });

      expect((await host.upgrade("stage")).state).toBe("done");
      expect(firmware.names().sort()).toEqual([entryOf(first.root, 1), "recovery.efi"]);
      expect((await hostOf(host)).next).toMatchObject({
        version: "2.0.0",
        hostdOnly: false,
        why: "/usr/share/doc/host differs",
      });

      writeFileSync(join(rig.state, "host/etc", first.root, "upper/motd"), "changed by hand\n");
      const upgraded = await host.upgrade("activate");
      expect(upgraded).toMatchObject({ kind: "upgrade", state: "done", version: "2.0.0", reverted: false });
      await isGood(host, "2.0.0");
      expect(firmware.names().sort()).toEqual([entryOf(first.root, 1), entryOf(second.root, 2), "recovery.efi"]);
      expect(firmware.conf()).toContain("default ostler-0002-*");
      expect(firmware.defaultRoot()).toBe(second.root);
      expect(await rig.get("/version")).toBe("1.0.0");

      const etc = join(rig.state, "host/etc", second.root);
      expect(readFileSync(join(etc, "declared/hostname"), "utf8")).toBe("node-1\n");
      expect(readFileSync(join(etc, "declared/issue.d/host"), "utf8")).toBe("2.0.0 hello\n");
      expect((await hostOf(host)).drift).toEqual([{ path: "/etc/motd", how: "changed" }]);
    }));

  test.each([
    ["panics", /kernel left 1 records/],
    ["fails", /cannot open the root/],
    ["is sick", /bin.false: .*exit code 1/],
  ] as const)("a version that %s is taken back by itself, quarantined, and says why", (name, why) =>
    withHost(async (host) => {
      const how = name === "is sick" ? "sick" : name;
      const { rig, firmware, first } = host;
      const bad = await host.publishHost({ version: "2.0.0", how });
      const failed = await host.upgrade("deploy");
      expect(failed).toMatchObject({ kind: "deploy-host", state: "failed", reverted: true });
      expect(failed.reason?.message).toMatch(why);
      expect(failed.afterwards?.healthy).toBe(true);
      await isGood(host, first.version);
      expect(firmware.names().sort()).toEqual([entryOf(first.root, 1), "recovery.efi"]);
      expect(readdirSync(join(rig.state, "host/etc"))).toEqual([first.root]);
      await expect(rig.client.begin("host", "activate", { image: bad.image })).rejects.toMatchObject({
        code: "quarantined",
      });

      const bundle = await rig.client.failure(failed.id);
      expect(bundle.boot?.root).toBe(bad.root);
      if (how === "sick") expect(bundle.boot?.journal).toBe(`journal of ${bad.root}\n`);
      if (how === "panics") expect(bundle.boot?.records).toBe("Kernel panic - not syncing");
      if (how === "fails") expect(bundle.boot?.log).toEqual(["initrd: cannot open the root"]);

      await host.publishHost({ version: "3.0.0", kernel: "kernel 6.2" });
      expect(await host.upgrade("deploy")).toMatchObject({ state: "done" });
      await isGood(host, "3.0.0");
      expect((await rig.client.status()).quarantine).toEqual([]);
    }),
  );

  test("whenever it is asked, a status in which nothing is under way has the host as that ended", () =>
    withHost(async (host) => {
      const { rig, firmware } = host;
      await host.publishHost({ version: "2.0.0", beside: true });
      for (let number = 0; number < 3_000; number++) writeFileSync(join(firmware.esp, `EFI/Linux/other-${number}`), "");
      let over = false;
      const torn: unknown[] = [];
      const ask = async () => {
        for (; !over; await delay(10)) {
          const status = await rig.client.status().catch(() => undefined); // it may be about to end
          const app = status?.apps.find(({ app }) => app === "host");
          if (status?.host === undefined || app?.operations.length !== 0) continue;
          const { booted, entries } = status.host;
          if (booted.as !== "good" || entries.some(({ tries }) => tries !== undefined)) torn.push(status.host);
        }
      };
      const asking = [ask(), ask(), ask(), ask()];
      const ended = await host.upgrade("deploy");
      over = true;
      await Promise.all(asking);
      expect([ended.state, torn]).toEqual(["done", []]);
    }));

  test("what retention gives up leaves the ESP before its layers are gone", () =>
    withHost(async (host) => {
      const { rig, firmware, first } = host;
      const versions = [];
      for (const version of ["2.0.0", "3.0.0"]) {
        versions.push(await host.publishHost({ version, beside: true }));
        expect(await host.upgrade("deploy")).toMatchObject({ state: "done" });
      }
      const kept = versions.map(({ root }, index) => entryOf(root, index + 2));
      expect(firmware.names().sort()).toEqual([entryOf(first.root, 1), ...kept, "recovery.efi"]);
      rig.arm({ point: "prune.prune.after", action: "kill" });
      await rig.client.begin("host", "prune", { keep: 1 });
      await rig.ended();
      expect(firmware.names().sort()).toEqual([...kept, "recovery.efi"]);
      await host.reset();
      await isGood(host, "3.0.0");
    }));

  test("a trial that fails takes the /etc along that was made for it, none that was there before", () =>
    withHost(async (host) => {
      const { rig, first } = host;
      const etc = join(rig.state, "host/etc");
      const there = await host.publishHost({ version: "2.0.0", how: "sick" });
      mkdirSync(join(etc, there.root, "upper"), { recursive: true });
      writeFileSync(join(etc, there.root, "upper/motd"), "as it was left\n");
      expect((await host.upgrade("deploy")).state).toBe("failed");
      expect(readFileSync(join(etc, there.root, "upper/motd"), "utf8")).toBe("as it was left\n");

      const made = await host.publishHost({ version: "3.0.0", how: "sick" });
      await host.upgrade("stage");
      rig.arm({ point: "upgrade.install.after", action: "kill" });
      const begun = await rig.client.begin("host", "activate", {});
      await rig.ended();
      expect(readdirSync(etc)).toContain(made.root);
      await rig.start();
      expect((await host.finish(begun.id)).state).toBe("failed");
      expect(readdirSync(etc)).toEqual([first.root]);
    }));

  test("what a killed hostd left mounted for a look is gone at the next start, and nothing that was in it", () =>
    withHost(async ({ rig }) => {
      await rig.stop();
      const [left, looked] = [join(rig.run, "looks/look-1"), join(rig.directory, "looked")];
      for (const place of [left, looked]) mkdirSync(place, { recursive: true });
      writeFileSync(join(looked, "file"), "kept");
      await run(["mount", "--bind", looked, left]);
      await rig.start();
      expect(readdirSync(join(rig.run, "looks"))).toEqual([]);
      expect(readFileSync(join(looked, "file"), "utf8")).toBe("kept");
    }));

  test("a trial that ends without a trace is armed again, three times at most", () =>
    withHost(async (host) => {
      await host.publishHost({ version: "2.0.0", how: "silent" });
      await host.upgrade("stage");
      const failed = await host.upgrade("activate");
      expect(failed).toMatchObject({ state: "failed", reverted: true });
      expect(failed.reason?.message).toBe("4 trials ended without a trace of how");
      expect(failed.notes.filter((note) => /armed again/.test(note))).toHaveLength(3);
    }));

  test("a version whose app does not return is taken back, and the app runs again on the old one", () =>
    withHost(async (host) => {
      const { rig, first } = host;
      await rig.publish({ version: "1.0.0", how: "turns-sick", stable: 100, within: 3_000 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await host.publishHost({ version: "2.0.0" });
      await host.upgrade("stage");
      const sick = join(rig.state, "data/shop/live/sick");
      const begun = await rig.client.begin("host", "activate", {});
      await eventually(async () => host.firmware.rebootAsked(), Boolean);
      await rig.stop();
      writeFileSync(sick, "");
      await host.reset();
      const finished = host.finish(begun.id);
      await eventually(
        () => rig.client.operation(begun.id).catch(() => undefined),
        (operation) => operation?.state === "reverting",
        30_000,
      );
      rmSync(sick);
      expect((await finished).reason?.message).toMatch(/app shop did not return: .*503/);
      await isGood(host, first.version);
      await eventually(
        () => rig.client.app("shop"),
        ({ health }) => health === "healthy",
      );
      expect((await rig.client.app("shop")).hold).toBeUndefined();
    }));

  test("one bad answer of an app before the upgrade is no reason not to wait for it; one that is sick is told, and not waited for", () =>
    withHost(async (host) => {
      const { rig, first } = host;
      await rig.publish({ version: "1.0.0", how: "turns-sick", stable: 100, interval: 1_000 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      await host.publishHost({ version: "2.0.0" });
      await host.upgrade("stage");
      const sick = join(rig.state, "data/shop/live/sick");
      const isUnhealthy = () =>
        eventually(
          () => rig.client.app("shop"),
          ({ health }) => health === "unhealthy",
        );
      writeFileSync(sick, "");
      await isUnhealthy();
      const begun = await rig.client.begin("host", "activate", {});
      rmSync(sick);
      await eventually(async () => host.firmware.rebootAsked(), Boolean);
      await rig.stop();
      writeFileSync(sick, "");
      await host.reset();
      const failed = await host.finish(begun.id);
      expect(failed).toMatchObject({
        state: "failed",
        notes: expect.not.arrayContaining([expect.stringMatching(/shop/)]),
      });
      expect(failed.reason?.message).toMatch(/app shop did not return: .*503/);
      await isGood(host, first.version);

      await rig.stop();
      await rig.start({ options: ["--on-sick", "report"] });
      await isUnhealthy();
      await host.publishHost({ version: "3.0.0" });
      await host.upgrade("stage");
      const done = await host.upgrade("activate");
      expect(done).toMatchObject({ state: "done", notes: ["shop is unhealthy already: it is not waited for"] });
    }));

  test("a version whose kernel or HEALTH alone is another one is refused: nothing would tell it from what runs", () =>
    withHost(async (host) => {
      for (const [version, what, why] of [
        ["1.0.1", { kernel: "kernel 6.2" }, "kernel differs"],
        ["1.0.2", { how: "sick", issue: "1.0.0" }, "HEALTH differs"],
      ] as const) {
        await host.publishHost({ version, layers: "1.0.0", ...what });
        const refused = await host.upgrade("stage");
        expect(refused).toMatchObject({ state: "failed", reason: { code: "wrong-product" } });
        expect(refused.reason?.message).toContain(`expected a root of its own, got that of 1.0.0: ${why}`);
      }
      await isGood(host, "1.0.0");
      await host.publishHost({ version: "3.0.0", kernel: "kernel 6.2" });
      expect(await host.upgrade("deploy")).toMatchObject({ state: "done" });
      await isGood(host, "3.0.0");
    }));

  test("a part of the UKI that the disk damaged is named when it is joined, and one staging brings it again", () =>
    withHost(async (host) => {
      const { rig } = host;
      await host.publishHost({ version: "2.0.0" });
      await host.upgrade("stage");
      const parts = join(rig.state, "host/parts");
      for (const name of readdirSync(parts)) {
        const bytes = readFileSync(join(parts, name));
        writeFileSync(join(parts, name), Buffer.alloc(bytes.length));
      }
      const refused = await host.upgrade("activate");
      expect(refused.reason).toMatchObject({ code: "blob-digest", hint: expect.stringContaining("hostd stage") });
      expect(await host.upgrade("stage")).toMatchObject({ state: "done" });
      expect(await host.upgrade("activate")).toMatchObject({ state: "done", version: "2.0.0" });
    }));

  test("what does not fit on the ESP is refused before the first blob; with room again it goes through", () =>
    withHost(async (host) => {
      const { rig, firmware } = host;
      await host.publishHost({ version: "2.0.0", padding: 2_000 });
      const parts = readdirSync(join(rig.state, "host/parts"));
      const giveBack = firmware.fill(5 * 1024 * 1024);
      const refused = await host.upgrade("deploy");
      expect(refused).toMatchObject({
        state: "failed",
        reverted: false,
        reason: { outcome: "refused", code: "no-space" },
      });
      expect(refused.reason?.message).toMatch(/^the ESP: expected \d+ bytes free/);
      expect(refused.steps.find(({ name }) => name === "fetch")?.started).toBeUndefined();
      expect(readdirSync(join(rig.state, "host/parts"))).toEqual(parts);
      giveBack();
      expect((await host.upgrade("deploy")).state).toBe("done");
      await isGood(host, "2.0.0");
    }));

  test("a proven version brings its recovery system; one that is taken back does not, and where one cannot be written the upgrade stands", () =>
    withHost(async (host) => {
      const { firmware } = host;
      const present = () => readFileSync(join(firmware.esp, "EFI/Linux/recovery.efi"), "utf8");
      await host.publishHost({ version: "2.0.0", how: "sick", recovery: "recovery of 2" });
      expect((await host.upgrade("deploy")).state).toBe("failed");
      expect(present()).toBe("recovery");

      await host.publishHost({ version: "3.0.0", recovery: "recovery of 3" });
      expect((await host.upgrade("deploy")).state).toBe("done");
      expect(present()).toBe("recovery of 3");

      await host.publishHost({ version: "4.0.0", recovery: "recovery of 4" });
      await host.upgrade("stage");
      const parts = join(host.rig.state, "host/parts");
      const digest = createHash("sha256").update("recovery of 4").digest("hex");
      writeFileSync(join(parts, digest), "recovery of ?");
      const upgraded = await host.upgrade("activate");
      expect(upgraded).toMatchObject({ state: "done", reverted: false });
      expect(upgraded.notes.join()).toMatch(
        /recovery.efi stays the one of before: .*expected sha256:[0-9a-f]+, read back/,
      );
      expect(present()).toBe("recovery of 3");
      await isGood(host, "4.0.0");
      expect(firmware.names()).toHaveLength(4);

      // the next version has the same one: what counts is that the ESP still lacks it
      await host.publishHost({ version: "5.0.0", recovery: "recovery of 4" });
      expect((await host.upgrade("deploy")).state).toBe("done");
      expect(present()).toBe("recovery of 4");
    }));

  test("nobody confirms: taken back. hostd confirm in the new system: blessed", () =>
    withHost(async (host) => {
      const { rig, first } = host;
      await host.publishHost({ version: "2.0.0" });
      await host.upgrade("stage");
      await expect(rig.client.confirm()).rejects.toMatchObject({ code: "bad-request" });
      const alone = await host.upgrade("activate", { confirmWithin: 1 });
      expect(alone).toMatchObject({ state: "failed", reason: { code: "not-confirmed" } });
      await isGood(host, first.version);

      await rig.client.release(alone.image ?? "");
      const begun = await rig.client.begin("host", "activate", { confirmWithin: 60 });
      const finished = host.finish(begun.id);
      await eventually(
        () => rig.client.confirm().catch(() => undefined),
        (operation) => operation !== undefined,
      );
      const confirmed = await finished;
      expect(confirmed.state).toBe("done");
      expect(confirmed.notes).toEqual([expect.stringMatching(/^confirmed by /)]);
      await isGood(host, "2.0.0");
    }));

  test("an app that somebody stops while the new system judges it is no reason to leave that system", () =>
    withHost(async (host) => {
      const { rig } = host;
      await rig.publish({ version: "1.0.0", stable: 4_000 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const next = await host.publishHost({ version: "2.0.0" });
      const begun = await rig.client.begin("host", "deploy", {});
      const ends = host.finish(begun.id);
      await eventually(
        () => rig.client.operation(begun.id).catch(() => undefined),
        (operation) => operation?.progress?.text.startsWith("shop: ") === true,
        60_000,
      );
      expect(await rig.operate("stop", { by: "ada" })).toMatchObject({ state: "done" });
      const ended = await ends;
      expect(ended).toMatchObject({ state: "done" });
      expect(ended.notes).toContain("app shop was stopped meanwhile");
      await isGood(host, next.version);
      expect(await rig.client.app("shop")).toMatchObject({ hold: "by ada" });
    }));

  test("one command leads back to any kept version, with its own /etc; below the floor it takes a broken glass", () =>
    withHost(async (host) => {
      const { rig, first, firmware } = host;
      const versions = [first];
      for (const number of [2, 3]) {
        versions.push(await host.publishHost({ version: `${number}.0.0` }));
        expect((await host.upgrade("deploy")).state).toBe("done");
      }
      expect(firmware.names()).toHaveLength(4);
      await rig.client.hold("host", "nobody is here over Christmas", undefined);
      await expect(rig.client.begin("host", "activate", { image: first.image })).rejects.toMatchObject({
        code: "updates-held",
      });
      const back = await host.upgrade("rollback", { to: versions[1]?.image.slice(7, 19) });
      expect(back).toMatchObject({ kind: "upgrade", state: "done", version: "2.0.0" });
      expect(firmware.defaultRoot()).toBe(versions[1]?.root);
      expect((await rig.client.status()).quarantine).toMatchObject([{ image: versions[2]?.image }]);
      await rig.client.unhold("host");

      await host.setFloor(3);
      await host.upgrade("stage").catch(() => undefined); // brings the new policy, whatever becomes of it
      const refused = await host.upgrade("activate", { image: first.image });
      expect(refused).toMatchObject({ state: "failed", reason: { outcome: "refused", code: "below-floor" } });
      const broken = await host.upgrade("activate", { image: first.image, breakGlass: "the new kernel eats disks" });
      expect(broken).toMatchObject({ state: "done" });
      await isGood(host, first.version);
      expect(broken.notes.join()).toMatch(/broke the glass: .*below the floor 3.*eats disks/);
    }));
});
