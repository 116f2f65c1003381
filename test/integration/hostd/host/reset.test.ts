import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../../../../effects/process.ts";
import { parseRootList } from "../../../../images/boot/roots.ts";
import { type HostRig, withHost } from "../../../hostd/host-rig.ts";
import { describeWith } from "../../../needs.ts";

const MAIN = join(import.meta.dirname, "../../../../hostd/main.ts");

describeWith(
  { root: true, programs: ["mkfs.ext2", "losetup", "bwrap", "perl", "iconv"] },
  "hostd reset of a host",
  () => {
    test.each(["--keep-data", "--wipe"])(
      "%s forgets the apps and other versions, and what runs goes on as the good one",
      async (how) => {
        await withHost(async (host) => {
          const { rig, first } = host;
          const second = await host.publishHost({ version: "2" });
          await rig.client.begin("host", "stage", {}).then(({ id }) => host.finish(id));
          expect(await host.upgrade("activate")).toMatchObject({ state: "done" });
          const at = (name: string) => join(rig.state, name);
          mkdirSync(at("data/shop"), { recursive: true });
          writeFileSync(at("data/shop/orders"), "kept");
          mkdirSync(at("host/identity/etc/ssh"), { recursive: true });
          writeFileSync(at("host/identity/etc/machine-id"), "1".repeat(32));
          writeFileSync(at("host/identity/etc/hostname"), "node-1");
          await rig.stop();
          const left = join(rig.run, "root-left"); // as a kill in the middle of a look at the running root leaves it
          for (const directory of [left, at("data/root")]) mkdirSync(directory, { recursive: true });
          writeFileSync(at("data/root/file"), "kept");
          await run(["mount", "--bind", at("data/root"), left]);

          await reset(host, how);
          expect(existsSync(left)).toBe(false);
          expect(existsSync(at("data/root/file"))).toBe(how === "--keep-data");
          expect(existsSync(at("data/shop/orders"))).toBe(how === "--keep-data");
          expect(existsSync(at("host/identity/etc/machine-id"))).toBe(how === "--keep-data");
          expect(readFileSync(at("host/identity/etc/hostname"), "utf8")).toBe("node-1");
          expect(readdirSync(at("host/roots"))).toEqual([second.root]);
          const layers = parseRootList(readFileSync(at(`host/roots/${second.root}`), "utf8")) ?? [];
          const files = readdirSync(at("layers")).filter((name) => name.endsWith(".erofs"));
          expect(files.sort()).toEqual(layers.map(({ root }) => `${root}.erofs`).sort());

          await reset(host, how).catch((error: Error) =>
            expect(error.message).toMatch(/expected the journal of a node/),
          );
          await host.reset();
          const status = await rig.client.status();
          expect(status.host).toMatchObject({ product: "host", good: { root: second.root }, booted: { as: "good" } });
          expect(status.host?.booted.root).not.toBe(first.root);
        });
      },
    );

    test("--wipe leaves what runs its /etc until the machine starts again, however often it is asked for and hostd started", () =>
      withHost(async (host) => {
        const { rig, first } = host;
        const hostName = mountEtc(host, first.root);
        for (let time = 0; time < 2; time++) {
          await rig.stop();
          await reset(host, "--wipe");
          expect(existsSync(join(rig.state, "host/etc", first.root))).toBe(false);
          await rig.start();
          expect(hostName()).toBe("node-1\n");
        }
        await host.reset();
        expect(readdirSync(join(rig.state, "host/etc"))).toEqual([first.root]);
        expect(readdirSync(join(rig.state, "host")).filter((name) => name.startsWith("."))).toEqual([]);
      }));
  },
);

/** The name of a node as a program of the running system reads it in /etc, which is mounted as the initrd does it. */
function mountEtc({ rig, firmware }: HostRig, root: string): () => string {
  const of = join(rig.state, "host/etc", root);
  const [target, image] = [join(firmware.machine, "etc"), join(rig.directory, "image-etc")];
  for (const directory of [target, image]) mkdirSync(directory, { recursive: true });
  const options = `lowerdir=${of}/declared:${image},upperdir=${of}/upper,workdir=${of}/work`;
  execFileSync("mount", ["-t", "overlay", "overlay", "-o", options, target]);
  return () => execFileSync("cat", [join(target, "hostname")]).toString();
}

async function reset({ rig, firmware }: HostRig, how: string): Promise<void> {
  const places = ["--state", rig.state, "--run", rig.run, "--machine", firmware.machine];
  await run([process.execPath, "--disable-warning=ExperimentalWarning", MAIN, "reset", how, ...places]);
}
