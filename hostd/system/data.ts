import { mkdir, readFile, readlink, rename, rm, rmdir, statfs, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { syncDirectory, writeDurably } from "../../effects/durable.ts";
import { hasErrno, unlessMissing } from "../../effects/errno.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import { btrfsDirectories } from "./data-btrfs.ts";
import { copyDirectories } from "./data-copy.ts";
import { directoriesDriver } from "./data-directories.ts";
import type { DataDriver, Tree, TreeSize } from "./data-driver.ts";
import { lvmDriver } from "./data-lvm.ts";
import { digestTree } from "./digest-tree.ts";
import { NodeError, snapshotInUse } from "./failure.ts";
import { parsePool } from "./lvm.ts";
import type { Leftover, NodeSystem } from "./node.ts";
import { appsIn, checkId, type Paths } from "./paths.ts";
import { createQueues } from "./queue.ts";

type AppData = Pick<
  NodeSystem,
  | "dataPath"
  | "liveData"
  | "snapshot"
  | "snapshots"
  | "withSnapshot"
  | "snapshotsBeingRead"
  | "digestSnapshot"
  | "snapshotSizes"
  | "snapshotCost"
  | "restore"
  | "setDataAside"
  | "removeDataLeftovers"
  | "nestedInData"
  | "forget"
  | "forgetAll"
  | "dataStore"
  | "removeData"
  | "wipeData"
>;

const FIRST_VERSION = "first";
const BTRFS_MAGIC = 0x9123683e;

/**
 * The data of all apps: versions, snapshots, and for each app the symlink `live`. What changes the data of an
 * app is done one after the other; no other app waits for it, since a copy may take minutes. Invariants, also after
 * kill -9 at any point:
 * - live points to a whole version, or is not there yet;
 * - a tree that the driver lists is whole and durable;
 * - a version that is not live is a leftover of a restore; one that cannot be removed hinders nothing.
 */
export async function openData(
  paths: Paths,
  userOf: (app: string) => Promise<number>,
  choice: string | undefined,
): Promise<AppData> {
  await mkdir(paths.dataOfAll, { recursive: true });
  const driver = await openDriver(paths, choice);
  const inTurn = createQueues();
  const readers = new Map<string, number>();

  async function withSnapshot<T>(app: string, id: string, use: (directory: string) => Promise<T>): Promise<T> {
    const tree: Tree = { app, kind: "snapshots", id: checkId(id) };
    const name = `${app} ${id}`;
    const read = (by: number) => readers.set(name, (readers.get(name) ?? 0) + by).get(name);
    const directory = await inTurn(app, async () => {
      await requireTree(driver, tree);
      const shown = await driver.show(tree);
      read(1);
      return shown;
    });
    try {
      return await use(directory);
    } finally {
      if (read(-1) === 0) await inTurn(app, async () => readers.get(name) === 0 && driver.hide(tree));
    }
  }

  async function forget(tree: Tree): Promise<void> {
    if ((readers.get(`${tree.app} ${tree.id}`) ?? 0) > 0) throw snapshotInUse(tree.app, tree.id);
    await driver.remove(tree);
  }

  return {
    dataPath: (app) => inTurn(app, async () => dataPath(driver, paths, app, await userOf(app))),
    liveData: (app) => liveVersion(paths, app),
    snapshot: (app, id) =>
      inTurn(app, async () => {
        const tree: Tree = { app, kind: "snapshots", id: checkId(id) };
        const live = await requireLive(paths, app);
        await forget(tree);
        await driver.copy(live, tree);
        const [createdAt = new Date(0)] = await driver.createdAt([tree]);
        return { id, createdAt: createdAt.toISOString() };
      }),
    async snapshots(app) {
      const trees = await snapshotsOf(driver, app);
      const times = await driver.createdAt(trees);
      const found = trees.map(({ id }, index) => ({ id, createdAt: (times[index] ?? new Date(0)).toISOString() }));
      return found.sort((one, other) => one.createdAt.localeCompare(other.createdAt) || (one.id < other.id ? -1 : 1));
    },
    withSnapshot,
    snapshotsBeingRead: (app) =>
      [...readers].flatMap(([name, count]) => {
        const [owner, id = ""] = name.split(" ");
        return owner === app && count > 0 ? [id] : [];
      }),
    restore: (app, id, version) => inTurn(app, () => restore(driver, paths, app, checkId(id), checkId(version))),
    setDataAside: (app, id) =>
      inTurn(app, async () => {
        const snapshot: Tree = { app, kind: "snapshots", id: checkId(id) };
        const live = await liveVersion(paths, app);
        if (live === undefined) return;
        const version: Tree = { app, kind: "versions", id: live };
        if ((await driver.list(app, "versions")).includes(live)) await forget(snapshot); // else it is this version already
        await driver.keep(version, snapshot);
        await driver.remove(version);
        await rm(join(paths.data(app), "live"), { force: true });
        await syncDirectory(paths.data(app));
      }),
    async removeDataLeftovers() {
      const apps = await appsIn(paths.dataOfAll);
      return (await Promise.all(apps.map((app) => inTurn(app, () => removeLeftovers(driver, paths, app))))).flat();
    },
    async nestedInData(app) {
      const live = await liveVersion(paths, app);
      return live === undefined ? [] : await driver.nested({ app, kind: "versions", id: live });
    },
    forget: (app, id) => inTurn(app, () => forget({ app, kind: "snapshots", id: checkId(id) })),
    async forgetAll() {
      const apps = await appsIn(paths.dataOfAll);
      const trees = (await Promise.all(apps.map((app) => snapshotsOf(driver, app)))).flat();
      for (const tree of trees) await inTurn(tree.app, () => forget(tree));
      return trees.length;
    },
    digestSnapshot: (app, id, pace) => withSnapshot(app, id, (directory) => digestTree(directory, pace)),
    snapshotSizes: (app) => sizesOf(driver, app),
    snapshotCost: (app, spare) => costOf(driver, paths, app, spare),
    async dataStore() {
      const pool = await driver.pool?.();
      return { driver: driver.name, ...(pool === undefined ? {} : { pool }) };
    },
    removeData: (app) => inTurn(app, () => wipe(driver, paths, app)),
    async wipeData() {
      for (const app of await appsIn(paths.dataOfAll)) await inTurn(app, () => wipe(driver, paths, app));
    },
  };
}

async function dataPath(driver: DataDriver, paths: Paths, app: string, user: number): Promise<string> {
  const live = await liveVersion(paths, app);
  if (live === undefined) {
    await mkdir(join(paths.data(app), "snapshots"), { recursive: true });
    await mkdir(join(paths.data(app), "versions"), { recursive: true });
    await driver.create({ app, kind: "versions", id: FIRST_VERSION }, user);
  }
  await driver.show({ app, kind: "versions", id: live ?? FIRST_VERSION });
  if (live === undefined) await flip(paths.data(app), FIRST_VERSION);
  return join(paths.data(app), "live");
}

async function restore(
  driver: DataDriver,
  paths: Paths,
  app: string,
  id: string,
  version: string,
): Promise<Leftover[]> {
  if ((await liveVersion(paths, app)) === version) return []; // done before a crash
  const source: Tree = { app, kind: "snapshots", id };
  await requireTree(driver, source);
  const made: Tree = { app, kind: "versions", id: version };
  await driver.copy(source, made);
  await driver.show(made);
  await flip(paths.data(app), version);
  return await removeLeftovers(driver, paths, app);
}

async function sizesOf(driver: DataDriver, app: string): Promise<Record<string, TreeSize>> {
  const trees = await snapshotsOf(driver, app);
  const sizes = await driver.sizes(trees);
  return Object.fromEntries(trees.map(({ id }, index) => [id, sizes[index] ?? { bytes: 0 }]));
}

async function costOf(driver: DataDriver, paths: Paths, app: string, spare: number): Promise<number> {
  const live = await liveVersion(paths, app);
  return live === undefined ? 0 : await driver.costOfCopy({ app, kind: "versions", id: live }, spare);
}

async function wipe(driver: DataDriver, paths: Paths, app: string): Promise<void> {
  await rm(join(paths.data(app), "live"), { force: true });
  for (const half of await driver.halfMade(app)) await half.remove();
  for (const kind of ["versions", "snapshots"] as const) {
    for (const id of await driver.list(app, kind)) await driver.remove({ app, kind, id });
  }
  for (const place of ["versions", "snapshots", ""]) {
    await rmdir(join(paths.data(app), place)).catch((error: unknown) => {
      if (!hasErrno(error, "ENOENT", "ENOTEMPTY", "EEXIST")) throw error;
    });
  }
}

async function flip(directory: string, version: string): Promise<void> {
  const link = join(directory, ".live");
  await rm(link, { force: true });
  await symlink(join("versions", version), link);
  await rename(link, join(directory, "live"));
  await syncDirectory(directory);
}

async function liveVersion(paths: Paths, app: string): Promise<string | undefined> {
  const target = await unlessMissing(readlink(join(paths.data(app), "live")));
  return target === undefined ? undefined : basename(target);
}

async function requireLive(paths: Paths, app: string): Promise<Tree> {
  const id = await liveVersion(paths, app);
  if (id === undefined) throw missing(app, `${paths.data(app)}/live`, "the app has no data yet");
  return { app, kind: "versions", id };
}

async function requireTree(driver: DataDriver, { app, kind, id }: Tree): Promise<void> {
  if ((await driver.list(app, kind)).includes(id)) return;
  throw missing(app, `snapshot ${id} of ${app}`, "no such snapshot");
}

/** Each by itself: what cannot be removed hinders neither the others nor whoever asks. */
async function removeLeftovers(driver: DataDriver, paths: Paths, app: string): Promise<Leftover[]> {
  const left: Leftover[] = [];
  const attempt = async (place: string, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      left.push({ app, place, why: toFailureDocument(error) });
    }
  };
  await attempt(paths.data(app), async () => {
    await rm(join(paths.data(app), ".live"), { force: true });
    for (const { place, remove } of await driver.halfMade(app)) await attempt(place, remove);
    const live = await liveVersion(paths, app);
    if (live === undefined) return;
    for (const id of (await driver.list(app, "versions")).filter((one) => one !== live)) {
      await attempt(join(paths.data(app), "versions", id), () => driver.remove({ app, kind: "versions", id }));
    }
  });
  return left;
}

async function snapshotsOf(driver: DataDriver, app: string): Promise<Tree[]> {
  return (await driver.list(app, "snapshots")).map((id) => ({ app, kind: "snapshots", id }));
}

/**
 * The driver that keeps this node's data. Volumes are found again by the choice made first, which is kept in the state;
 * another one is refused, since it would start every app on empty data.
 */
async function openDriver(paths: Paths, choice: string | undefined): Promise<DataDriver> {
  const kept = (await unlessMissing(readFile(paths.dataDriver, "utf8")))?.trim();
  const wanted = choice ?? "auto";
  const chosen = wanted === "auto" && kept !== undefined ? kept : wanted;
  const held = (await appsIn(paths.dataOfAll)).length > 0;
  if (held && chosen !== "auto" && chosen !== (kept ?? "auto")) {
    throw new NodeError(
      "other-driver",
      `data of apps: expected driver ${kept ?? "auto"}, which has it, got ${chosen}`,
      {
        hint: "leave --data out: hostd goes on with what has it; only hostd reset --wipe, which deletes all data, ends that",
      },
    );
  }
  if (chosen !== "auto") {
    const driver = await lvmDriver(paths, parsePool(chosen));
    if (kept === undefined) await writeDurably(paths.dataDriver, `${chosen}\n`);
    return driver;
  }
  const { type } = await statfs(paths.dataOfAll);
  return directoriesDriver(paths, type === BTRFS_MAGIC ? btrfsDirectories : copyDirectories);
}

function missing(app: string, path: string, why: string): NodeError {
  return new NodeError("data-missing", `${path}: ${why}`, { hint: `hostd snapshot list ${app} shows what there is` });
}
