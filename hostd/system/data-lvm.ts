import { constants } from "node:fs";
import { mkdir, open, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { hasErrno, unlessMissing } from "../../effects/errno.ts";
import { ProcessError, run } from "../../effects/process.ts";
import type { DataDriver, PoolUse, Tree } from "./data-driver.ts";
import { NodeError } from "./failure.ts";
import {
  activateArgs,
  createArgs,
  devicePath,
  failWhenFullArgs,
  idsOf,
  type Pool,
  parseReport,
  removeArgs,
  renameArgs,
  reportArgs,
  snapshotArgs,
  type Volume,
  volumeName,
} from "./lvm.ts";
import { unmount } from "./mount.ts";
import { type MountEntry, mountAt, mountsBelow, readMounts } from "./mountinfo.ts";
import type { Paths } from "./paths.ts";

/** e2fsck: all was well, or was put in order. */
const SOUND: ReadonlySet<number | undefined> = new Set([0, 1]);

/**
 * Trees as thin volumes with an ext4, mounted by hostd at `<app>/<kind>/<id>` (ADR 0012). LVM's own records say what
 * there is; a volume gets its name when it is whole. Refuses a pool that is not there.
 */
export async function lvmDriver(paths: Paths, pool: Pool): Promise<DataDriver> {
  const pathOf = ({ app, kind, id }: Tree) => join(paths.data(app), kind, id);
  const { failsWhenFull } = poolIn(await report(pool), pool);
  if (!failsWhenFull) await run(failWhenFullArgs(pool));

  async function unmountTree(tree: Tree): Promise<void> {
    const directory = pathOf(tree);
    while (mountAt(await readMounts(), directory) !== undefined) await unmount(directory);
    await removeMountPoint(directory);
  }

  async function copy(from: Tree, to: Tree): Promise<void> {
    if (find(await report(pool), volumeName(to)) !== undefined) return;
    await run(snapshotArgs(pool, volumeName(from), volumeName(to), to.kind === "snapshots"));
  }

  return {
    name: "lvm",
    list: async (app, kind) => idsOf(await report(pool), app, kind),
    async create(tree, user) {
      const volumes = await report(pool);
      const [half, whole] = [volumeName({ ...tree, kind: "half" }), volumeName(tree)];
      if (find(volumes, whole) !== undefined) return;
      if (find(volumes, half) !== undefined) await run(removeArgs(pool, half));
      await run(createArgs(pool, half, poolIn(volumes, pool).size));
      await makeFileSystem(devicePath(pool, half), user);
      await run(renameArgs(pool, half, whole));
    },
    copy,
    keep: copy,
    async remove(tree) {
      await unmountTree(tree);
      if (find(await report(pool), volumeName(tree)) !== undefined) await run(removeArgs(pool, volumeName(tree)));
    },
    async halfMade(app) {
      return idsOf(await report(pool), app, "half").map((id) => {
        const name = volumeName({ app, kind: "half", id });
        return { place: `${pool.group}/${name}`, remove: async () => void (await run(removeArgs(pool, name))) };
      });
    },
    nested: async (tree) => (await mountsBelow(pathOf(tree))).map(({ mountPoint }) => mountPoint),
    async show(tree) {
      const directory = pathOf(tree);
      const mounted = mountAt(await readMounts(), directory);
      if (mounted !== undefined && !(await isBroken(tree, mounted))) return directory;
      await mkdir(directory, { recursive: true });
      const device = devicePath(pool, volumeName(tree));
      await run(activateArgs(pool, volumeName(tree), true));
      if (tree.kind === "versions") await checkFileSystem(device);
      await run(["mount", "-t", "ext4", "-o", mountOptions(tree), device, directory]);
      return directory;
    },
    async hide(tree) {
      await unmountTree(tree);
      if (tree.kind === "snapshots") await run(activateArgs(pool, volumeName(tree), false));
    },
    async createdAt(trees) {
      const volumes = await report(pool);
      return trees.map((tree) => find(volumes, volumeName(tree))?.created ?? new Date(0));
    },
    async sizes(trees) {
      const volumes = await report(pool);
      return trees.map((tree) => ({ bytes: mappedBytes(find(volumes, volumeName(tree))) }));
    },
    costOfCopy: async () => 0,
    async pool(): Promise<PoolUse> {
      const { data, metadata } = poolIn(await report(pool), pool);
      return { name: `${pool.group}/${pool.pool}`, data: data ?? 1, metadata: metadata ?? 1 };
    },
  };
}

/**
 * A version that an error turned read-only is of no use to its app: it is unmounted to be checked and mounted anew,
 * unless something still uses it.
 */
async function isBroken({ kind }: Tree, { mountPoint }: MountEntry): Promise<boolean> {
  if (kind !== "versions" || (await takesWrites(mountPoint))) return false;
  return await unmount(mountPoint).then(
    () => true,
    () => false,
  );
}

/** A file without a name, in the directory that it is opened at (open(2), O_TMPFILE); nothing of it stays. */
const UNNAMED = 0o20_000_000 | constants.O_DIRECTORY | constants.O_WRONLY;

/**
 * Asked by a write, since ext4 that gave up its journal shows it in no option of the mount, and not to a chmod either. A
 * full one is not broken.
 */
async function takesWrites(directory: string): Promise<boolean> {
  try {
    await (await open(directory, UNNAMED, 0o600)).close();
    return true;
  } catch (error) {
    return !hasErrno(error, "EROFS", "EIO");
  }
}

/** What belongs to nobody but the app, and gives room back when files go; a broken one is not written on. */
function mountOptions({ kind }: Tree): string {
  return kind === "versions" ? "nodev,nosuid,discard,errors=remount-ro" : "ro,nodev,nosuid";
}

async function report(pool: Pool): Promise<Volume[]> {
  return parseReport((await run(reportArgs(pool))).stdout);
}

function find(volumes: readonly Volume[], name: string): Volume | undefined {
  return volumes.find((volume) => volume.name === name);
}

function mappedBytes(volume: Volume | undefined): number {
  return Math.round((volume?.size ?? 0) * (volume?.data ?? 0));
}

function poolIn(volumes: readonly Volume[], { group, pool }: Pool): Volume {
  const found = find(volumes, pool);
  if (found !== undefined) return found;
  throw new NodeError("data-missing", `${group}/${pool}: expected a thin pool, found none`, {
    hint: `lvcreate --type thin-pool --extents 80%FREE --name ${pool} ${group}`,
  });
}

/** An empty one that belongs to a user; without `lost+found`, which is no data of the app's (e2fsck makes it anew). */
async function makeFileSystem(device: string, user: number): Promise<void> {
  await run(["mkfs.ext4", "-q", "-m", "0", "-E", `root_owner=${user}:${user}`, device]);
  await run(["debugfs", "-w", "-R", "rmdir lost+found", device]);
}

async function checkFileSystem(device: string): Promise<void> {
  try {
    await run(["e2fsck", "-p", device]);
  } catch (error) {
    if (!(error instanceof ProcessError) || error.exitCode === undefined) throw error;
    if (SOUND.has(error.exitCode)) return;
    throw new NodeError("data-damaged", `${device}: ${error.message}`, {
      cause: error,
      hint: `e2fsck -f ${device} tries more, or restore a snapshot`,
    });
  }
}

async function removeMountPoint(directory: string): Promise<void> {
  try {
    await unlessMissing(rmdir(directory));
  } catch (error) {
    if (!hasErrno(error, "EBUSY")) throw error;
  }
}
