import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { backingFile } from "../../../../hostd/system/losetup.ts";
import { mountAt, readMounts } from "../../../../hostd/system/mountinfo.ts";
import { type Digest, digestFromHex } from "../../../../manifests/digest.ts";
import { describeWith } from "../../../needs.ts";
import { makeDirectory, withNode } from "./fixture.ts";
import { layDownAll } from "./made-layer.ts";

const ONE = digestFromHex("11".repeat(32));
const TWO = digestFromHex("22".repeat(32));
const OPERATE = fileURLToPath(new URL("./operate.ts", import.meta.url));

async function mountCount(directory: string): Promise<number> {
  return (await mountPointsIn(directory)).length;
}

async function mountPointsIn(directory: string): Promise<string[]> {
  return (await readMounts()).map(({ mountPoint }) => mountPoint).filter((path) => path.startsWith(`${directory}/`));
}

function flipByte(file: string, offset: number): void {
  const byte = readFileSync(file)[offset] ?? 0;
  const handle = openSync(file, "r+");
  writeSync(handle, Buffer.from([byte ^ 1]), 0, 1, offset);
  closeSync(handle);
}

describeWith({ root: true }, "layers and slots", () => {
  test("a layer is laid down once and known by its verity root", () =>
    withNode(async (fixture) => {
      const { node, state } = fixture;
      const { base, baseVerity, topVerity } = await layDownAll(fixture);
      const before = statSync(join(state, "layers", `${base.root}.erofs`)).ino;
      await node.layDownLayer(base);
      expect(statSync(join(state, "layers", `${base.root}.erofs`)).ino).toBe(before);
      expect(await node.hasLayer(baseVerity)).toBe(true);
      expect(await node.hasLayer({ ...baseVerity, root: "0".repeat(64) })).toBe(false);
      expect(await node.layers()).toEqual([base.root, topVerity.root].sort());
    }));

  test("a slot shows the upper layer over the lower one, read-only", () =>
    withNode(async (fixture) => {
      const { node } = fixture;
      const { baseVerity, topVerity } = await layDownAll(fixture);
      const slot = await node.mountSlot({ app: "shop", image: ONE, layers: [baseVerity, topVerity] });
      expect(basename(slot)).toBe("1".repeat(12));
      expect(readFileSync(join(slot, "etc/name"), "utf8")).toBe("top");
      expect(readFileSync(join(slot, "usr/big"), "utf8").length).toBe(50_000);
      expect(() => writeFileSync(join(slot, "new"), "")).toThrow("EROFS");
      expect(await node.mountedSlots()).toEqual([{ app: "shop", image: ONE }]);
    }));

  test("an image of one layer is a slot with nothing of ours in it", () =>
    withNode(async (fixture) => {
      const { baseVerity } = await layDownAll(fixture);
      const slot = await fixture.node.mountSlot({ app: "shop", image: ONE, layers: [baseVerity] });
      expect(readdirSync(slot)).toEqual(["etc", "usr"]);
    }));

  test("layers are mounted once for all slots and stay until the last slot is gone", () =>
    withNode(async (fixture) => {
      const { node, run } = fixture;
      const { base, baseVerity, topVerity } = await layDownAll(fixture);
      await node.mountSlot({ app: "shop", image: ONE, layers: [baseVerity, topVerity] });
      await node.mountSlot({ app: "shop", image: TWO, layers: [baseVerity] });
      await node.mountSlot({ app: "shop", image: TWO, layers: [baseVerity] });
      expect(await mountCount(run)).toBe(4);
      await expect(node.removeLayer(base.root, () => true)).rejects.toMatchObject({ code: "layer-in-use" });
      await node.unmountSlot("shop", ONE);
      await node.unmountSlot("shop", ONE);
      expect(await mountCount(run)).toBe(2);
      await node.unmountSlot("shop", TWO);
      expect(await mountCount(run)).toBe(0);
      expect(await node.removeLayer(base.root, () => false)).toBe(false);
      expect(await node.hasLayer(baseVerity)).toBe(true);
      expect(await node.removeLayer(base.root, () => true)).toBe(true);
      expect(await node.hasLayer(baseVerity)).toBe(false);
      await expect(node.checkLayer(baseVerity)).rejects.toMatchObject({ code: "layer-missing" });
    }));

  test("many callers at once mount each thing once", () =>
    withNode(async (fixture) => {
      const { node, run } = fixture;
      const { baseVerity, topVerity } = await layDownAll(fixture);
      const mount = (image: Digest) => node.mountSlot({ app: "shop", image, layers: [baseVerity, topVerity] });
      await Promise.all([mount(ONE), mount(TWO), mount(ONE), mount(TWO), mount(ONE)]);
      expect(await mountCount(run)).toBe(4);
    }));

  test("a flipped byte is refused naming file and block, and the slot already mounted goes on", () =>
    withNode(async (fixture) => {
      const { node, state } = fixture;
      const { base, baseVerity } = await layDownAll(fixture);
      const slot = await node.mountSlot({ app: "shop", image: ONE, layers: [baseVerity] });
      const file = join(state, "layers", `${base.root}.erofs`);
      flipByte(file, 3 * 4096 + 5);
      const refusal = { code: "image-damaged", details: { file, block: 3, offset: 3 * 4096 } };
      await expect(node.checkLayer(baseVerity)).rejects.toMatchObject(refusal);
      await expect(node.mountSlot({ app: "shop", image: TWO, layers: [baseVerity] })).rejects.toMatchObject(refusal);
      expect(await node.mountedSlots()).toEqual([{ app: "shop", image: ONE }]);
      expect(readFileSync(join(slot, "etc/name"), "utf8")).toBe("base");
      flipByte(file, 3 * 4096 + 5);
      await node.checkLayer(baseVerity);
    }));

  test("an unchanged layer is not read again, a touched one is", () =>
    withNode(async (fixture) => {
      const { node, state } = fixture;
      const { base, baseVerity } = await layDownAll(fixture);
      const file = join(state, "layers", `${base.root}.erofs`);
      const record = join(state, "layers", `${base.root}.checked`);
      const first = statSync(record).ino;
      await node.checkLayer(baseVerity);
      expect(statSync(record).ino).toBe(first);
      execFileSync("touch", ["--date=2001-01-01", file]);
      await node.checkLayer(baseVerity);
      expect(JSON.parse(readFileSync(record, "utf8")).modified).toMatch(/^9783/);
      writeFileSync(record, "{");
      await node.checkLayer(baseVerity);
    }));

  test("a scrub finds what changed without a trace", () =>
    withNode(async ({ node, state, ...fixture }) => {
      const { base, baseVerity } = await layDownAll({ node, state, ...fixture });
      await node.scrubLayer(baseVerity);
      const file = join(state, "layers", `${base.root}.erofs`);
      flipByte(file, 4096);
      const { size, mtimeNs, ctimeNs, ino, dev } = statSync(file, { bigint: true });
      const record = { size, modified: mtimeNs, changed: ctimeNs, inode: ino, device: dev };
      const text = JSON.stringify(record, (_, value) => (typeof value === "bigint" ? String(value) : value));
      writeFileSync(join(state, "layers", `${base.root}.checked`), text);
      await node.checkLayer(baseVerity);
      await expect(node.scrubLayer(baseVerity)).rejects.toMatchObject({ details: { block: 1 } });
      await expect(node.checkLayer(baseVerity)).rejects.toMatchObject({ details: { block: 1 } });
    }));

  test("a scrub that is broken off changes nothing: the next mount need not read the layer", () =>
    withNode(async (fixture) => {
      const { node, state } = fixture;
      const { base, baseVerity } = await layDownAll(fixture);
      const record = join(state, "layers", `${base.root}.checked`);
      const before = statSync(record);
      const breakOff = () => Promise.reject(new Error("hostd ends"));
      await expect(node.scrubLayer(baseVerity, breakOff)).rejects.toThrow("hostd ends");
      expect(statSync(record)).toMatchObject({ ino: before.ino, ctimeMs: before.ctimeMs });
    }));

  test("a layer that is collected while it is scrubbed leaves nothing", () =>
    withNode(async ({ node, state, ...fixture }) => {
      const { base, baseVerity, topVerity } = await layDownAll({ node, state, ...fixture });
      await node.scrubLayer(baseVerity, async () => void (await node.removeLayer(base.root, () => true)));
      expect(readdirSync(join(state, "layers")).sort()).toEqual([
        `${topVerity.root}.checked`,
        `${topVerity.root}.erofs`,
      ]);
    }));

  test("a mount whose file was replaced is not used for a new slot", () =>
    withNode(async (fixture) => {
      const { node, state, run } = fixture;
      const { base, baseVerity } = await layDownAll(fixture);
      const slot = await node.mountSlot({ app: "shop", image: ONE, layers: [baseVerity] });
      const file = join(state, "layers", `${base.root}.erofs`);
      copyFileSync(file, `${file}.new`);
      renameSync(`${file}.new`, file);
      expect(await node.mountSlot({ app: "shop", image: ONE, layers: [baseVerity] })).toBe(slot);
      const device = mountAt(await readMounts(), join(run, "layers", base.root))?.source ?? "";
      expect(await backingFile(device)).toBe(file);
      expect(await mountCount(run)).toBe(2);
      expect(readFileSync(join(slot, "etc/name"), "utf8")).toBe("base");
    }));

  test("a half-made layer file of a killed daemon is removed at the next start", () =>
    withNode(async ({ state, run, node }) => {
      const half = join(state, "layers", ".abc.erofs.1x2y3z.tmp");
      writeFileSync(half, "");
      expect(await node.layers()).toEqual([]);
      execFileSync(process.execPath, [OPERATE, state, run, "layers"]);
      expect(existsSync(half)).toBe(false);
    }));

  test("kill -9 at any moment of mounting leaves what the next call completes", () =>
    withNode(async (fixture) => {
      const { node, state, run } = fixture;
      const { baseVerity, topVerity } = await layDownAll(fixture);
      const input = { app: "shop", image: ONE, layers: [baseVerity, topVerity] };
      for (const wait of [0, 5, 10, 20, 30, 45]) {
        const child = spawn(process.execPath, [OPERATE, state, run, "mountSlot", JSON.stringify(input)], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        const started = Date.now();
        while (Date.now() - started < 5000 && (await mountCount(run)) === 0 && child.exitCode === null) {
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        await new Promise((resolve) => setTimeout(resolve, wait));
        child.kill("SIGKILL");
        if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
        const slot = await node.mountSlot(input);
        expect(readFileSync(join(slot, "etc/name"), "utf8")).toBe("top");
        // the one mount(8) that outlived whoever began it may mount a second time what is there by then
        const points = await mountPointsIn(run);
        expect(new Set(points).size).toBe(3);
        expect(points.length).toBeLessThanOrEqual(4);
        await node.unmountSlot("shop", ONE);
        expect(await mountCount(run)).toBe(0);
      }
    }));

  test("where no loop device can be had, the failure says so and what to do", () =>
    withNode(async (fixture) => {
      const { directory, state, run } = fixture;
      const { baseVerity } = await layDownAll(fixture);
      const programs = makeDirectory(directory, "programs");
      const fakes = { mount: "echo 'mount: x: failed to setup loop device for y.' >&2", mknod: ":", losetup: ":" };
      for (const [name, script] of Object.entries(fakes)) {
        writeFileSync(join(programs, name), `#!/bin/sh\n${script}\nexit 1\n`, { mode: 0o755 });
      }
      const input = JSON.stringify({ app: "shop", image: ONE, layers: [baseVerity] });
      const { stderr } = spawnSync(process.execPath, [OPERATE, state, run, "mountSlot", input], {
        env: { ...process.env, PATH: `${programs}:${process.env["PATH"]}` },
      });
      expect(stderr.toString()).toMatch(/no loop device can be had[\s\S]*code: 'no-loop-device'[\s\S]*modprobe loop/);
    }));

  test("more layers than mount options hold are refused with their size", () =>
    withNode(async ({ node }) => {
      const layers = Array.from({ length: 63 }, (_, i) => ({
        root: i.toString(16).padStart(64, "0"),
        size: 4096,
        format: 1,
      }));
      await expect(node.mountSlot({ app: "shop", image: ONE, layers })).rejects.toMatchObject({
        code: "too-many-layers",
      });
    }));
});
