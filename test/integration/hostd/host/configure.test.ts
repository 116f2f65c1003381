import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OPERATIONS, stepRule } from "../../../../hostd/states.ts";
import { type HostRig, withHost } from "../../../hostd/host-rig.ts";
import { eventually, unlessRefused } from "../../../hostd/rig.ts";
import { describeWith } from "../../../needs.ts";

const NEEDS = { root: true, programs: ["mkfs.ext2", "losetup", "bwrap", "perl", "iconv"] };
const FILE = "issue.d/host";

describeWith(NEEDS, "the host's own config", () => {
  test("is applied while it runs: file, next boot and unit; nothing reboots, and it goes back alone", () =>
    withHost(async (host) => {
      mountEtc(host);
      await say(host, "good day");
      expect(await host.rig.client.configDiff("host")).toMatchObject({
        how: "live",
        files: [{ path: `/etc/${FILE}` }],
      });
      const applied = await host.upgrade("configure");
      expect(applied).toMatchObject({ kind: "configure-host", state: "done", reverted: false });
      expect(applied.notes.join("\n")).toMatch(/good day.*told issue.service/s);
      expect(seen(host)).toEqual({ now: "1.0.0 good day\n", nextBoot: "1.0.0 good day\n" });
      expect(told(host)).toEqual(["issue.service 1.0.0 good day"]);
      expect(host.firmware.rebootAsked()).toBe(false);
      expect((await host.rig.client.status()).host?.drift).toEqual([]);
      expect((await host.rig.client.app("host")).config?.drift).toEqual([]);

      await host.reset();
      mountEtc(host);
      expect(seen(host).now).toBe("1.0.0 good day\n");
      const asked = { to: "current", withConfig: true, requestId: "back" };
      const back = await host.upgrade("rollback", asked);
      expect(back).toMatchObject({ kind: "configure-host", state: "done" });
      expect(await host.upgrade("rollback", asked)).toEqual(back);
      expect(seen(host)).toEqual({ now: "1.0.0 hello\n", nextBoot: "1.0.0 hello\n" });
      expect((await host.rig.client.app("host")).current).toMatchObject({ version: "1.0.0", state: "good" });
    }));

  test("whose unit cannot take it is put back, and says why; the version that runs is not at fault", () =>
    withHost(async (host) => {
      mountEtc(host);
      await say(host, "fine");
      expect((await host.upgrade("configure")).state).toBe("done");
      await say(host, "bad");
      writeFileSync(join(host.firmware.machine, "refuses"), "");
      const failed = await host.upgrade("configure");
      expect(failed).toMatchObject({ state: "failed", reverted: true, afterwards: { healthy: true } });
      expect(failed.reason?.message).toContain("issue.service");
      expect(seen(host)).toEqual({ now: "1.0.0 fine\n", nextBoot: "1.0.0 fine\n" });
      const { quarantine } = await host.rig.client.status();
      expect(quarantine).toEqual([]);
    }));

  test("is refused over a file that was changed by hand, which is left alone", () =>
    withHost(async (host) => {
      mountEtc(host);
      mkdirSync(join(host.firmware.machine, "etc/issue.d"), { recursive: true });
      writeFileSync(join(host.firmware.machine, "etc", FILE), "by hand\n");
      await say(host, "good day");
      const refused = await host.upgrade("configure");
      expect(refused).toMatchObject({ state: "failed", reason: { code: "not-allowed" } });
      expect(refused.reason?.message).toContain(`/etc/${FILE}`);
      expect(readFileSync(join(host.firmware.machine, "etc", FILE), "utf8")).toBe("by hand\n");
    }));

  test("is the old one or the new one, as the history says, wherever hostd is killed", () =>
    withHost(async (host) => {
      const { rig } = host;
      mountEtc(host);
      await say(host, "word 0");
      await host.upgrade("configure");
      const wrong: unknown[] = [];
      let word = 0;
      for (const step of OPERATIONS["configure-host"]) {
        for (const moment of ["before", "after"] as const) {
          const [old, next] = [seen(host).now, `word ${++word}`];
          await say(host, next);
          rig.arm({ point: `configure-host.${step}.${moment}`, action: "kill" });
          await rig.client.begin("host", "configure", {}).catch(unlessRefused);
          await rig.ended();
          await rig.start();
          const newest = async () => (await rig.client.changes({ app: "host", limit: 1 })).changes[0];
          const ended = await eventually(newest, (operation) => operation?.finished !== undefined);
          const isNew = stepRule(step).afterCrash === "resume";
          const text = isNew ? `1.0.0 ${next}\n` : old;
          const expected = { state: isNew ? "done" : "failed", now: text, nextBoot: text, left: [] as string[] };
          const left = readdirSync(join(host.firmware.machine, "etc/issue.d")).filter((name) => name.startsWith("."));
          const got = { state: ended?.state, ...seen(host), left };
          if (JSON.stringify(got) !== JSON.stringify(expected)) wrong.push({ step, moment, expected, got });
        }
      }
      expect(wrong).toEqual([]);
    }));
});

/** /etc as the initrd mounts it: what was changed over what is declared over the image's own. */
function mountEtc({ rig, firmware, first }: HostRig): void {
  const of = join(rig.state, "host/etc", first.root);
  const [target, image] = [join(firmware.machine, "etc"), join(rig.directory, "image-etc")];
  for (const directory of [target, image]) mkdirSync(directory, { recursive: true });
  const options = `lowerdir=${of}/declared:${image},upperdir=${of}/upper,workdir=${of}/work`;
  execFileSync("mount", ["-t", "overlay", "overlay", "-o", options, target]);
}

async function say({ rig }: HostRig, greeting: string): Promise<void> {
  await rig.client.setLayer("site", "site.yaml", `greeting: ${greeting}\n`);
}

function seen({ rig, firmware, first }: HostRig) {
  const read = (...path: string[]) => readFileSync(join(...path), "utf8");
  const declared = join(rig.state, "host/etc", first.root, "declared");
  return { now: read(firmware.machine, "etc", FILE), nextBoot: read(declared, FILE) };
}

function told({ firmware }: HostRig): string[] {
  return readFileSync(join(firmware.machine, "told"), "utf8").trimEnd().split("\n");
}
