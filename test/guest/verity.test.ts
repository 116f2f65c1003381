import { closeSync, openSync, readdirSync, readFileSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hasErrno } from "../../effects/errno.ts";
import { run } from "../../effects/process.ts";
import { mountAt, readMounts } from "../../hostd/system/mountinfo.ts";
import { openNode } from "../../hostd/system/node.ts";
import { devicePrefix, openArgs } from "../../hostd/system/verity.ts";
import { digestFromHex } from "../../manifests/digest.ts";
import { type Fixture, withNode } from "../integration/hostd/system/fixture.ts";
import { layDownAll } from "../integration/hostd/system/made-layer.ts";

const IMAGE = digestFromHex("11".repeat(32));

/** As the kernel names them: a node in /dev may go before its device. */
const devices = ({ run: runDirectory }: Fixture) =>
  readdirSync("/sys/block")
    .filter((name) => name.startsWith("dm-"))
    .flatMap((name) => nameOf(join("/sys/block", name, "dm/name")) ?? [])
    .filter((name) => name.startsWith(devicePrefix(runDirectory)));
/** Undefined for a device that goes while it is looked at: no file any more, or one that the kernel reads no more. */
function nameOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENODEV", "EINVAL")) return undefined;
    throw error;
  }
}
const fileOf = ({ state }: Fixture, root: string) => join(state, "layers", `${root}.erofs`);
const dropCaches = () => writeFileSync("/proc/sys/vm/drop_caches", "3");

/** Waits for what the kernel does in its own time. */
async function eventually(answer: () => unknown, expected: unknown): Promise<void> {
  for (let tries = 0; tries < 50 && JSON.stringify(answer()) !== JSON.stringify(expected); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(answer()).toEqual(expected);
}

describe("layers under dm-verity", () => {
  test("our own files are opened by the kernel, mounted, and given up again; the node says how they are protected", () =>
    withNode(async (fixture) => {
      const { node, run: runDirectory } = fixture;
      const { baseVerity, topVerity } = await layDownAll(fixture);
      const slot = await node.mountSlot({ app: "shop", image: IMAGE, layers: [baseVerity, topVerity] });
      expect(readFileSync(join(slot, "etc/name"), "utf8")).toBe("top");
      expect(readFileSync(join(slot, "usr/big"), "utf8")).toBe("x".repeat(50_000));
      expect(devices(fixture)).toHaveLength(2);
      const mounted = mountAt(await readMounts(), join(runDirectory, "layers", baseVerity.root));
      expect(mounted).toMatchObject({ type: "erofs", source: expect.stringContaining(`-layer-${baseVerity.root}-`) });
      expect(await node.protection()).toBe("every-read");
      await node.unmountSlot("shop", IMAGE);
      expect(devices(fixture)).toEqual([]);
    }));

  test("a byte that changes under a mounted layer is an error for whoever reads it, and for nobody else", () =>
    withNode(async (fixture) => {
      const { node } = fixture;
      const { baseVerity, topVerity } = await layDownAll(fixture);
      const slot = await node.mountSlot({ app: "shop", image: IMAGE, layers: [baseVerity, topVerity] });
      const file = fileOf(fixture, baseVerity.root);
      const at = readFileSync(file).indexOf(Buffer.alloc(4096, "x"));
      expect(at).toBeGreaterThan(-1);
      const handle = openSync(file, "r+");
      writeSync(handle, "y", at + 17);
      closeSync(handle);
      dropCaches();
      expect(() => readFileSync(join(slot, "usr/big"))).toThrow(/EIO/);
      expect(readFileSync(join(slot, "etc/name"), "utf8")).toBe("top");
      await expect(node.scrubLayer(baseVerity)).rejects.toMatchObject({ code: "image-damaged" });
    }));

  test("a layer that another file took the place of is no layer: its root does not fit", () =>
    withNode(async (fixture) => {
      const { baseVerity, topVerity } = await layDownAll(fixture);
      writeFileSync(fileOf(fixture, baseVerity.root), readFileSync(fileOf(fixture, topVerity.root)));
      const mounting = fixture.node.mountSlot({ app: "shop", image: IMAGE, layers: [baseVerity, topVerity] });
      await expect(mounting).rejects.toMatchObject({ code: "mount-failed" });
      await eventually(() => devices(fixture), []);
    }));

  test("after kill -9 what is mounted is adopted as it is, and what was only opened is given up", () =>
    withNode(async (fixture) => {
      const { node, state, run: runDirectory } = fixture;
      const { baseVerity, topVerity } = await layDownAll(fixture);
      const slot = await node.mountSlot({ app: "shop", image: IMAGE, layers: [baseVerity] });
      const [mounted] = devices(fixture);
      const file = fileOf(fixture, topVerity.root);
      const half = `${devicePrefix(runDirectory)}${topVerity.root}-${statSync(file).ino}`;
      await run(openArgs(file, half, topVerity));
      expect(devices(fixture)).toHaveLength(2);
      const next = await openNode({ stateDirectory: state, runDirectory });
      expect(devices(fixture)).toEqual([mounted]);
      expect(await next.mountSlot({ app: "shop", image: IMAGE, layers: [baseVerity] })).toBe(slot);
      expect(devices(fixture)).toEqual([mounted]);
      expect(await next.protection()).toBe("every-read");
    }));

  test("a repaired layer stands beside the old one until nobody uses that any more", () =>
    withNode(async (fixture) => {
      const { node } = fixture;
      const { base, baseVerity, topVerity } = await layDownAll(fixture);
      const layers = [baseVerity, topVerity];
      const slot = await node.mountSlot({ app: "shop", image: IMAGE, layers });
      const held = openSync(join(slot, "usr/big"), "r");
      const before = devices(fixture);
      await node.layDownLayer({ ...base, replace: true });
      expect(await node.mountSlot({ app: "shop", image: IMAGE, layers })).toBe(slot);
      expect(devices(fixture).length).toBe(before.length + 1);
      expect(readFileSync(held, "utf8")).toBe("x".repeat(50_000));
      await node.unmountSlot("shop", IMAGE);
      expect(devices(fixture)).toHaveLength(2); // those of the old slot, for whoever still reads it
      expect(await node.mountSlot({ app: "shop", image: IMAGE, layers })).toBe(slot);
      closeSync(held);
      await eventually(() => devices(fixture).length, before.length);
    }));
});
