import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { run } from "../../effects/process.ts";
import { withTemporaryDirectory } from "../../effects/temporary.ts";
import { refuseFullPool } from "../../hostd/data/keep.ts";
import { unmountBelow } from "../../hostd/system/mount.ts";
import { readMounts } from "../../hostd/system/mountinfo.ts";
import { openNode } from "../../hostd/system/node.ts";
import { type DataContract, type DataPlace, describeDataContract } from "../data-contract.ts";

/** The guest's second disk. */
const DISK = "/dev/vdb";
const DATA = "lvm:vg0/pool";

const lvm = (...command: string[]) => execFileSync(command[0] ?? "", command.slice(1), { stdio: "pipe" }).toString();
const volumes = (select: string) =>
  lvm("lvs", "--noheadings", "--options=lv_name", "vg0")
    .split("\n")
    .map((line) => line.trim())
    .filter((name) => name.startsWith(select))
    .map((name) => name.slice(select.length))
    .sort();

/** A pool of its own for as long as `use` runs. */
async function withPool(size: string, use: (place: DataPlace) => Promise<void>): Promise<void> {
  await withTemporaryDirectory(tmpdir(), async (directory) => {
    await run(["vgcreate", "--yes", "vg0", DISK]);
    await run(["lvcreate", "--yes", "--type=thin-pool", `--size=${size}`, "--name=pool", "vg0"]);
    const [state, runDirectory] = [join(directory, "state"), join(directory, "run")];
    try {
      const node = await openNode({ stateDirectory: state, runDirectory, data: DATA });
      await use({ node, state, run: runDirectory });
    } finally {
      await unmountBelow(directory);
      await run(["vgremove", "--force", "--force", "--yes", "vg0"]);
    }
  });
}

const contract: DataContract = {
  withPlace: (use) => withPool("256M", use),
  isOwn: (directory) => spawnSync("mountpoint", ["-q", directory]).status === 0,
  leave(_, kind, name, how) {
    const letter = how === "half" ? "m" : kind === "versions" ? "v" : "s";
    lvm(
      "lvcreate",
      "--yes",
      "--snapshot",
      "--setactivationskip=n",
      `--name=hostd.shop.${letter}.${name}`,
      "vg0/hostd.shop.v.first",
    );
  },
  trees: (_, kind) => volumes(kind === "versions" ? "hostd.shop.v." : "hostd.shop.s."),
  kills: 2,
  runs: 2,
  deeds: 8,
  pause: 1010,
};

describe("data of an app, driver lvm", () => {
  describeDataContract(contract);

  test("snapshots are read-only, neither active nor mounted but while they are read", () =>
    contract.withPlace(async ({ node, state }) => {
      await node.dataPath("shop");
      await node.snapshot("shop", "one");
      const attributes = () => lvm("lvs", "--noheadings", "--options=lv_attr", "vg0/hostd.shop.s.one").trim();
      expect(attributes()).toMatch(/^Vr.*-.*k$/);
      expect(attributes().charAt(4)).toBe("-");
      const mounted = async () => (await readMounts()).filter(({ mountPoint }) => mountPoint.startsWith(state)).length;
      expect(await mounted()).toBe(1);
      await node.withSnapshot("shop", "one", async (directory) => {
        expect(await mounted()).toBe(2);
        expect(() => writeFileSync(join(directory, "orders"), "1")).toThrow(/EROFS/);
      });
      expect(await mounted()).toBe(1);
      expect(attributes().charAt(4)).toBe("-");
    }));

  test("after a reboot the live version is mounted again with all that was synced, by the choice that the state keeps", () =>
    contract.withPlace(async ({ node, state, run: runDirectory }) => {
      const live = await node.dataPath("shop");
      writeSynced(join(live, "orders"), "1");
      await unmountBelow(state);
      lvm("vgchange", "--activate=n", "vg0");
      expect(readdirSync(join(state, "data/shop/versions/first"))).toEqual([]);
      lvm("vgchange", "--activate=y", "vg0");
      const next = await openNode({ stateDirectory: state, runDirectory });
      expect(readFileSync(join(await next.dataPath("shop"), "orders"), "utf8")).toBe("1");
      expect(await next.dataStore()).toMatchObject({ driver: "lvm", pool: { name: "vg0/pool" } });
    }));

  test("a full pool: refused from the guard on; what was acknowledged stays; with room again the app writes again", () =>
    withPool("64M", async ({ node }) => {
      const live = await node.dataPath("shop");
      await node.snapshot("shop", "before");
      const guard = async () => refuseFullPool((await node.dataStore()).pool);
      await guard();
      let acknowledged = 0;
      let refused = false;
      try {
        for (; acknowledged < 64; acknowledged++) {
          writeSynced(join(live, `record-${acknowledged}`), Buffer.alloc(1_000_000, acknowledged));
          refused ||= await guard().then(
            () => false,
            (error: { code: string }) => error.code === "no-space",
          );
        }
      } catch (error) {
        expect(String(error)).toMatch(/EIO|EROFS|ENOSPC/);
      }
      expect(acknowledged).toBeGreaterThan(20);
      expect(acknowledged).toBeLessThan(64);
      expect(refused).toBe(true);
      await expect(guard()).rejects.toMatchObject({ code: "no-space", outcome: "refused" });

      await run(["lvextend", "--size=+128M", "vg0/pool"]);
      await guard();
      const again = await node.dataPath("shop");
      for (let number = 0; number < acknowledged; number++) {
        expect(readFileSync(join(again, `record-${number}`)).equals(Buffer.alloc(1_000_000, number))).toBe(true);
      }
      writeSynced(join(again, "after"), "1");
      await node.snapshot("shop", "after");
      await node.restore("shop", "before", "back");
      expect(readdirSync(live)).toEqual([]);
    }));
});

function writeSynced(path: string, bytes: string | Buffer): void {
  const file = openSync(path, "w");
  try {
    writeSync(file, Buffer.from(bytes));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
