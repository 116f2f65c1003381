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
  },
);

async function reset({ rig, firmware }: HostRig, how: string): Promise<void> {
  const places = ["--state", rig.state, "--run", rig.run, "--machine", firmware.machine];
  await run([process.execPath, "--disable-warning=ExperimentalWarning", MAIN, "reset", how, ...places]);
}
