import { createHash } from "node:crypto";
import { access, readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { ProcessError, run } from "../../effects/process.ts";
import { BLOCK_SIZE } from "../../images/erofs/limits.ts";
import type { LayerVerity } from "../../manifests/image.ts";
import { NodeError } from "./failure.ts";
import { makeLoopNodes } from "./losetup.ts";
import { readMounts } from "./mountinfo.ts";

const MAPPER = "/dev/mapper";
const DEFAULT_RUN = "/run/hostd";
const LOOP_TRIES = 4;

/**
 * Layers as dm-verity devices: every block is checked against the signed root when it is read, and a wrong one is an
 * error. A device is named by root and by the file's inode, so that one with a repaired file stands beside the old one.
 */
export interface VerityDevices {
  /** Opens a layer file, or finds it open; answers the device. */
  open(file: string, verity: LayerVerity): Promise<string>;
  /** Whether a mount's source is the device of this very file. */
  isOf(source: string, file: string, root: string): Promise<boolean>;
  /** Gives it up when its last user is gone, at once where there is none. Other sources are nothing to it. */
  close(source: string): Promise<void>;
  /** Gives up what a killed daemon left open and nobody mounted. */
  closeLeftovers(): Promise<void>;
  isOwn(source: string): boolean;
}

/** Undefined where this kernel has no dm-verity, or the node no veritysetup: then layers are checked before they are mounted. */
export async function openVerityDevices(runDirectory: string): Promise<VerityDevices | undefined> {
  if (!(await hasVerity())) return undefined;
  const prefix = devicePrefix(runDirectory);
  const isOwn = (source: string) => source.startsWith(join(MAPPER, prefix));

  async function close(source: string): Promise<void> {
    if (!isOwn(source) || (await unlessMissing(stat(source))) === undefined) return;
    try {
      await run(["veritysetup", "close", "--deferred", basename(source)]);
    } catch (error) {
      if ((await unlessMissing(stat(source))) !== undefined) throw error; // else its last user was quicker
    }
  }

  return {
    isOwn,
    async open(file, verity) {
      const name = await nameOf(prefix, file, verity.root);
      const device = join(MAPPER, name);
      if ((await unlessMissing(stat(device))) === undefined) await openDevice(openArgs(file, name, verity), file, name);
      await checkRoot(name, verity.root);
      return device;
    },
    async isOf(source, file, root) {
      return source === join(MAPPER, await nameOf(prefix, file, root));
    },
    close,
    async closeLeftovers() {
      const mounted = new Set((await readMounts()).map(({ source }) => source));
      const names = (await unlessMissing(readdir(MAPPER))) ?? [];
      for (const device of names.map((name) => join(MAPPER, name))) if (!mounted.has(device)) await close(device);
    },
  };
}

/** What opens a layer file, hash tree behind the image, as our writer lays it down: no superblock, no salt. */
export function openArgs(file: string, name: string, { size, root }: LayerVerity): string[] {
  return [
    "veritysetup",
    "open",
    "--no-superblock",
    "--salt=-",
    `--data-blocks=${size / BLOCK_SIZE}`,
    `--data-block-size=${BLOCK_SIZE}`,
    `--hash-block-size=${BLOCK_SIZE}`,
    `--hash-offset=${size}`,
    file,
    name,
    file,
    root,
  ];
}

/** Names of devices are the machine's: another run directory than the usual one has names of its own. */
export function devicePrefix(runDirectory: string): string {
  if (runDirectory === DEFAULT_RUN) return "hostd-layer-";
  return `hostd-${createHash("sha256").update(runDirectory).digest("hex").slice(0, 8)}-layer-`;
}

async function nameOf(prefix: string, file: string, root: string): Promise<string> {
  return `${prefix}${root}-${(await stat(file)).ino}`;
}

async function hasVerity(): Promise<boolean> {
  await run(["modprobe", "dm-verity"]).catch(unlessFailed);
  const tried = await run(["veritysetup", "--version"]).catch(unlessFailed);
  return tried !== undefined && (await exists("/sys/module/dm_verity")) && (await exists("/dev/mapper/control"));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function openDevice(command: readonly string[], file: string, name: string): Promise<void> {
  for (let left = LOOP_TRIES; ; left--) {
    try {
      return void (await run(command));
    } catch (error) {
      if (!(error instanceof ProcessError)) throw error;
      // One that goes with its last user is there without a node in /dev, where no udev keeps it.
      if (/already exists/.test(error.output)) return void (await run(["dmsetup", "mknodes", name]));
      if (left > 0 && (await makeLoopNodes())) continue;
      throw new NodeError("mount-failed", `${file}: no dm-verity device of it can be had: ${error.message}`, {
        cause: error,
        hint: "hostd fsck says whether the file is sound",
      });
    }
  }
}

/** The kernel's word, not the name's: what is mounted is checked against this very root. */
async function checkRoot(name: string, root: string): Promise<void> {
  const { stdout } = await run(["veritysetup", "status", name]);
  const found = /root hash:\s+([0-9a-f]+)/.exec(stdout)?.[1];
  if (found === root) return;
  throw new NodeError(
    "mount-failed",
    `${MAPPER}/${name}: expected a device with root ${root}, got ${found ?? "none"}`,
    {
      hint: `veritysetup close ${name} removes it, when nothing uses it`,
    },
  );
}

function unlessFailed(error: unknown): undefined {
  if (error instanceof ProcessError) return undefined;
  throw error;
}
