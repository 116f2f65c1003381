import { ProcessError, run } from "../../effects/process.ts";
import { NodeError } from "./failure.ts";
import { hasLoopControl, makeLoopNodes } from "./losetup.ts";
import { mountsBelow } from "./mountinfo.ts";

/** Tries until a free loop device is had: another process may take the one that was free a moment ago. */
const LOOP_TRIES = 4;

/**
 * Mounts a layer file read-only through a loop device, which the kernel gives back at unmount. Throws NodeError
 * `no-loop-device` or `mount-failed`.
 */
export async function mountLayerFile(file: string, directory: string): Promise<void> {
  const command = ["mount", "-t", "erofs", "-o", "ro,loop,nodev,nosuid", file, directory];
  for (let left = LOOP_TRIES; ; left--) {
    try {
      return void (await run(command));
    } catch (error) {
      if (!(error instanceof ProcessError)) throw error;
      if (/ is already mounted\.$/m.test(error.output)) return; // this very file, there: by what a killed hostd had begun
      if (/already mounted or mount point busy/.test(error.output)) return await mountApart(file, directory);
      const made = await makeLoopNodes();
      const noLoop = made || /loop device/.test(error.output) || !(await hasLoopControl());
      if (!noLoop) throw mountFailed(file, error);
      if (left === 0) throw noLoopDevice(file, error);
    }
  }
}

/**
 * As above, for a file whose loop device somebody else holds: dm-verity does, of the layers that this system was booted
 * from, and mount(8) takes no second device for the same file by itself.
 */
async function mountApart(file: string, directory: string): Promise<void> {
  const device = (await run(["losetup", "--find", "--show", "--read-only", file])).stdout.trim();
  try {
    await mountLayerDevice(device, directory);
  } finally {
    await run(["losetup", "--detach", device]); // the kernel gives it back at unmount, at once where it is not mounted
  }
}

/** Mounts a layer that is a block device already. */
export async function mountLayerDevice(device: string, directory: string): Promise<void> {
  try {
    await run(["mount", "-t", "erofs", "-o", "ro,nodev,nosuid", device, directory]);
  } catch (error) {
    throw mountFailed(device, error);
  }
}

/**
 * Stacks layers read-only, the uppermost first, as names relative to `cwd` so that many fit into the one page of
 * mount options. `label` stands in mountinfo as the source. At least two layers are needed (overlayfs without upper).
 */
export async function mountOverlay(label: string, lower: readonly string[], directory: string, cwd: string) {
  try {
    await run(["mount", "-t", "overlay", "-o", `ro,nodev,nosuid,lowerdir=${lower.join(":")}`, label, directory], {
      cwd,
    });
  } catch (error) {
    throw mountFailed(directory, error);
  }
}

/** Unmounts; `busy` says whether users of it stay (false: lazily, they keep what they have open). */
export async function unmount(directory: string, options: { lazy?: boolean } = {}): Promise<void> {
  try {
    await run(["umount", ...(options.lazy === true ? ["--lazy"] : []), directory]);
  } catch (error) {
    if (error instanceof ProcessError && /target is busy/.test(error.output)) {
      throw new NodeError("slot-in-use", `${directory}: something still uses it`, {
        cause: error,
        hint: `fuser --verbose --mount ${directory} names it`,
      });
    }
    throw error;
  }
}

/**
 * Unmounts all that is mounted below a directory, what was mounted last first: what removes the directory must not reach
 * into what a killed hostd left mounted there.
 */
export async function unmountBelow(directory: string): Promise<void> {
  for (const { mountPoint } of (await mountsBelow(directory)).reverse()) await unmount(mountPoint, { lazy: true });
}

function mountFailed(what: string, error: unknown): NodeError {
  return new NodeError("mount-failed", `${what}: ${(error as Error).message}`, {
    cause: error,
    hint: process.getuid?.() === 0 ? undefined : "run hostd as root: mounting needs it",
  });
}

function noLoopDevice(file: string, cause: Error): NodeError {
  return new NodeError("no-loop-device", `${file}: no loop device can be had: ${cause.message}`, {
    cause,
    hint: "modprobe loop; in a container allow devices c 10:237 and b 7:*, or free one: losetup --list",
  });
}
