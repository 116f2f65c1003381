import { chown, lstat, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import type { DataDriver, Tree, TreeKind, TreeSize } from "./data-driver.ts";
import type { Paths } from "./paths.ts";

/** How directories are made, copied and deleted. `remove` also works on a half-made one, and where there is none. */
export interface DirectoryMaker {
  readonly name: "btrfs" | "copy";
  create(directory: string): Promise<void>;
  copy(from: string, to: string, options: { readOnly: boolean }): Promise<void>;
  remove(directory: string): Promise<void>;
  createdAt(directory: string): Promise<Date>;
  size(directory: string): Promise<TreeSize>;
  costOfCopy(directory: string, spare: number): Promise<number>;
}

/** A tree under this prefix is being made; found at start, it is a leftover. */
const HALF_MADE = ".making-";

/** Trees as directories `<app>/<kind>/<id>`: made under a temporary name, which a whole and durable one loses. */
export function directoriesDriver(paths: Paths, maker: DirectoryMaker): DataDriver {
  const parentOf = (app: string, kind: TreeKind) => join(paths.data(app), kind);
  const pathOf = ({ app, kind, id }: Tree) => join(parentOf(app, kind), id);

  async function make({ app, kind, id }: Tree, fill: (directory: string) => Promise<void>): Promise<void> {
    const parent = parentOf(app, kind);
    const whole = join(parent, id);
    if ((await unlessMissing(lstat(whole))) !== undefined) return;
    await mkdir(parent, { recursive: true });
    const half = join(parent, `${HALF_MADE}${id}`);
    await maker.remove(half);
    try {
      await fill(half);
    } catch (error) {
      await maker.remove(half);
      throw error;
    }
    await rename(half, whole);
    await syncDirectory(parent);
  }

  async function sizeOf(tree: Tree): Promise<TreeSize> {
    try {
      return await maker.size(pathOf(tree));
    } catch (error) {
      if ((await unlessMissing(lstat(pathOf(tree)))) === undefined) return { bytes: 0 };
      throw error;
    }
  }

  return {
    name: maker.name,
    async list(app, kind) {
      return ((await unlessMissing(readdir(parentOf(app, kind)))) ?? []).filter((name) => !name.startsWith("."));
    },
    create: (tree, user) =>
      make(tree, async (directory) => {
        await maker.create(directory);
        await chown(directory, user, user);
      }),
    copy: (from, to) =>
      make(to, (directory) => maker.copy(pathOf(from), directory, { readOnly: to.kind === "snapshots" })),
    /** Takes the name away first, so that a half-deleted tree is never taken for a whole one. */
    async remove(tree) {
      const half = join(parentOf(tree.app, tree.kind), `${HALF_MADE}${tree.id}`);
      await maker.remove(half);
      await unlessMissing(rename(pathOf(tree), half));
      await maker.remove(half);
    },
    async removeHalfMade(app) {
      for (const kind of ["versions", "snapshots"] as const) {
        const names = (await unlessMissing(readdir(parentOf(app, kind)))) ?? [];
        for (const name of names.filter((one) => one.startsWith("."))) {
          await maker.remove(join(parentOf(app, kind), name));
        }
      }
    },
    show: async (tree) => pathOf(tree),
    hide: async () => {},
    createdAt: (trees) => Promise.all(trees.map((tree) => maker.createdAt(pathOf(tree)))),
    sizes: (trees) => Promise.all(trees.map(sizeOf)),
    costOfCopy: (tree, spare) => maker.costOfCopy(pathOf(tree), spare),
  };
}
