import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ESP, entryName, loaderConf } from "../../../../images/boot/entries.ts";
import type { HostVersion } from "../../../hostd/host-publisher.ts";
import { type HostRig, withHost } from "../../../hostd/host-rig.ts";
import { eventually } from "../../../hostd/rig.ts";
import { describeWith } from "../../../needs.ts";

describeWith(
  { root: true, programs: ["mkfs.ext2", "losetup", "bwrap", "perl", "iconv"] },
  "a boot of another version than the journal's current one",
  () => {
    test("because the ESP lost the last good one's UKI: it is joined again, and the next boot is that", () =>
      withHost(async (host) => {
        const { firmware, first } = host;
        const second = await upgraded(host);
        lose(host, second);
        expect((await host.reset()).root).toBe(first.root);
        expect(firmware.defaultRoot()).toBe(second.root);
        expect(await states(host)).toMatchObject({ current: "2", good: second.root, as: "other" });
        expect((await host.reset()).root).toBe(second.root);
        expect(await states(host)).toMatchObject({ current: "2", good: second.root, as: "good" });
      }));

    test("which cannot be joined: what runs is the last good one from then on, and the other is taken by an upgrade", () =>
      withHost(async (host) => {
        const { rig, firmware, first } = host;
        const second = await upgraded(host);
        lose(host, second);
        const parts = join(rig.state, "host/parts");
        for (const part of readdirSync(parts)) writeFileSync(join(parts, part), "damaged");
        expect((await host.reset()).root).toBe(first.root);
        expect(firmware.defaultRoot()).toBe(first.root);
        await expectTaken(host, first, second);
      }));

    test("because recovery went back to it: it is the current one, and the other is taken by an upgrade", () =>
      withHost(async (host) => {
        const { rig, firmware } = host;
        const second = await upgraded(host);
        const third = await upgraded(host, "3");
        await rig.stop();
        writeFileSync(join(firmware.esp, ESP.loaderConf), loaderConf({ number: 2 }));
        writeFileSync(join(rig.state, "host/good"), `${second.root}\n`);
        expect((await host.reset()).root).toBe(second.root);
        await expectTaken(host, second, third);
      }));

    test("because an older journal was put back: the one that it takes for the current one is taken by an upgrade", () =>
      withHost(async (host) => {
        const { rig, first } = host;
        await rig.stop();
        const [state, kept] = [rig.state, join(rig.directory, "kept")];
        mkdirSync(kept);
        const journal = () => readdirSync(state).filter((name) => name.startsWith("hostd.db"));
        for (const name of journal()) copyFileSync(join(state, name), join(kept, name));
        await rig.start();
        const second = await upgraded(host);
        await rig.stop();
        for (const name of journal()) rmSync(join(state, name));
        for (const name of readdirSync(kept)) copyFileSync(join(kept, name), join(state, name));
        await rig.start();
        expect(await states(host)).toMatchObject({ current: "1.0.0", booted: second.root });
        const back = await host.upgrade("activate", { image: first.image });
        expect(back).toMatchObject({ state: "done", version: "1.0.0" });
        expect(await states(host)).toMatchObject({ current: "1.0.0", booted: first.root, good: first.root });
      }));
  },
);

/** To a version with another kernel, by a reboot. */
async function upgraded(host: HostRig, version = "2"): Promise<HostVersion> {
  const next = await host.publishHost({ version, kernel: `kernel 6.${version}` });
  await host.rig.client.begin("host", "stage", {}).then(({ id }) => host.finish(id));
  expect(await host.upgrade("activate")).toMatchObject({ state: "done" });
  return next;
}

function lose({ firmware }: HostRig, { root }: HostVersion): void {
  const name = entryName({ number: 2, root });
  expect(firmware.names()).toContain(name);
  rmSync(join(firmware.esp, ESP.entries, name));
}

async function states({ rig }: HostRig) {
  const { host, apps } = await rig.client.status();
  const current = apps.find(({ app }) => app === "host")?.current?.version;
  return { current, booted: host?.booted.root, as: host?.booted.as, good: host?.good?.root };
}

/** `from` is the current version, and going to the other one is a real upgrade. */
async function expectTaken(host: HostRig, from: HostVersion, to: HostVersion): Promise<void> {
  const { rig } = host;
  const expected = { current: from.version, booted: from.root, as: "good", good: from.root };
  await eventually(
    () => states(host),
    ({ current }) => current === from.version,
  );
  expect(await states(host)).toEqual(expected);
  await rig.client.begin("host", "stage", {}).then(({ id }) => host.finish(id)); // brings what was lost of the other
  const again = await host.upgrade("activate", { image: to.image });
  expect(again).toMatchObject({ state: "done", version: to.version });
  expect(await states(host)).toEqual({ current: to.version, booted: to.root, as: "good", good: to.root });
}
