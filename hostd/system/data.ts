import { chown, lstat, mkdir, readdir, readlink, rename, rm, statfs, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { syncDirectory } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { btrfsDriver } from "./data-btrfs.ts";
import { copyDriver } from "./data-copy.ts";
import { NodeError } from "./failure.ts";
import type { NodeSystem, Snapshot } from "./node.ts";
import { checkId, type Paths } from "./paths.ts";
import { createQueue } from "./queue.ts";

/**
 * How trees are made, copied and deleted. Copies are whole or, after a kill, left under the name they were made
 * under; `remove` works on such a half-made one too, and does nothing where there is none.
 */
export interface DataDriver {
  readonly name: "btrfs" | "copy";
  create(directory: string): Promise<void>;
  copy(from: string, to: string, options: { readOnly: boolean }): Promise<void>;
  remove(directory: string): Promise<void>;
  createdAt(directory: string): Promise<Date>;
}

type AppData = Pick<NodeSystem, "dataPath" | "snapshot" | "snapshots" | "restore" | "forget">;

/** A tree under this prefix is being made; found at start, it is a leftover. */
const HALF_MADE = ".making-";
const FIRST_VERSION = "first";
const BTRFS_MAGIC = 0x9123683e;

/**
 * The data of all apps: `<app>/versions/<id>`, `<app>/snapshots/<id>` and the symlink `<app>/live`. Invariants, also
 * after kill -9 at any point:
 * - live points to a whole version, or is not there yet;
 * - a name without the prefix HALF_MADE is a whole tree, durable before it got the name;
 * - a version that is not live is a leftover of a restore and is deleted at the next open.
 */
export async function openData(paths: Paths, userOf: (app: string) => Promise<number>): Promise<AppData> {
  await mkdir(paths.dataOfAll, { recursive: true });
  const driver = await chooseDriver(paths.dataOfAll);
  const inTurn = createQueue();
  for (const app of await readdir(paths.dataOfAll)) await removeLeftovers(driver, paths.data(app));
  return {
    dataPath: (app) => inTurn(async () => dataPath(driver, paths.data(app), await userOf(app))),
    snapshot: (app, id) => inTurn(() => snapshot(driver, paths.data(app), checkId(id))),
    snapshots: (app) => listSnapshots(driver, paths.data(app)),
    restore: (app, id, version) => inTurn(() => restore(driver, paths.data(app), checkId(id), checkId(version))),
    forget: (app, id) => inTurn(() => removeTree(driver, join(paths.data(app), "snapshots"), checkId(id))),
  };
}

async function dataPath(driver: DataDriver, directory: string, user: number): Promise<string> {
  const live = join(directory, "live");
  if ((await liveVersion(directory)) !== undefined) return live;
  await mkdir(join(directory, "snapshots"), { recursive: true });
  await mkdir(join(directory, "versions"), { recursive: true });
  await makeTree(driver, join(directory, "versions"), FIRST_VERSION, async (tree) => {
    await driver.create(tree);
    await chown(tree, user, user);
  });
  await flip(directory, FIRST_VERSION);
  return live;
}

async function snapshot(driver: DataDriver, directory: string, id: string): Promise<Snapshot> {
  const version = await liveVersion(directory);
  if (version === undefined) throw missing(`${directory}/live`, "the app has no data yet");
  const parent = join(directory, "snapshots");
  await makeTree(driver, parent, id, (tree) =>
    driver.copy(join(directory, "versions", version), tree, { readOnly: true }),
  );
  return await describe(driver, parent, id);
}

async function listSnapshots(driver: DataDriver, directory: string): Promise<Snapshot[]> {
  const parent = join(directory, "snapshots");
  const names = (await unlessMissing(readdir(parent))) ?? [];
  const found = await Promise.all(names.filter(isWhole).map((id) => describe(driver, parent, id)));
  return found.sort((one, other) => one.createdAt.localeCompare(other.createdAt) || (one.id < other.id ? -1 : 1));
}

async function restore(driver: DataDriver, directory: string, id: string, version: string): Promise<void> {
  const before = await liveVersion(directory);
  if (before === version) return; // done before a crash
  const source = join(directory, "snapshots", id);
  if ((await unlessMissing(lstat(source))) === undefined) throw missing(source, "no such snapshot");
  const versions = join(directory, "versions");
  await mkdir(versions, { recursive: true });
  await makeTree(driver, versions, version, (tree) => driver.copy(source, tree, { readOnly: false }));
  await flip(directory, version);
  if (before !== undefined) await removeTree(driver, versions, before);
}

/** Makes a tree under a temporary name and gives it its own when it is whole and durable. No-op when it is there. */
async function makeTree(driver: DataDriver, parent: string, id: string, make: (tree: string) => Promise<void>) {
  const tree = join(parent, id);
  if ((await unlessMissing(lstat(tree))) !== undefined) return;
  const half = join(parent, `${HALF_MADE}${id}`);
  await driver.remove(half);
  try {
    await make(half);
  } catch (error) {
    await driver.remove(half);
    throw error;
  }
  await rename(half, tree);
  await syncDirectory(parent);
}

/** Takes the name away first, so that a half-deleted tree is never taken for a whole one. */
async function removeTree(driver: DataDriver, parent: string, id: string): Promise<void> {
  const half = join(parent, `${HALF_MADE}${id}`);
  await driver.remove(half);
  await unlessMissing(rename(join(parent, id), half));
  await driver.remove(half);
}

async function flip(directory: string, version: string): Promise<void> {
  const link = join(directory, ".live");
  await rm(link, { force: true });
  await symlink(join("versions", version), link);
  await rename(link, join(directory, "live"));
  await syncDirectory(directory);
}

async function liveVersion(directory: string): Promise<string | undefined> {
  const target = await unlessMissing(readlink(join(directory, "live")));
  return target === undefined ? undefined : basename(target);
}

async function removeLeftovers(driver: DataDriver, directory: string): Promise<void> {
  const live = await liveVersion(directory);
  for (const kind of ["versions", "snapshots"]) {
    const names = (await unlessMissing(readdir(join(directory, kind)))) ?? [];
    for (const name of names) {
      const leftover = !isWhole(name) || (kind === "versions" && live !== undefined && name !== live);
      if (leftover) await driver.remove(join(directory, kind, name));
    }
  }
  await rm(join(directory, ".live"), { force: true });
}

async function describe(driver: DataDriver, parent: string, id: string): Promise<Snapshot> {
  return { id, createdAt: (await driver.createdAt(join(parent, id))).toISOString() };
}

async function chooseDriver(directory: string): Promise<DataDriver> {
  const { type } = await statfs(directory);
  return type === BTRFS_MAGIC ? btrfsDriver : copyDriver;
}

function isWhole(name: string): boolean {
  return !name.startsWith(".");
}

function missing(path: string, why: string): NodeError {
  return new NodeError("data-missing", `${path}: ${why}`, { hint: "hostd snapshot list APP shows what there is" });
}
