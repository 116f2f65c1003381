import { randomUUID } from "node:crypto";
import { chown, lstat, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { renameDurably, syncDirectory } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import type { DataDriver, Tree, TreeKind, TreeSize } from "./data-driver.ts";
import { NodeError } from "./failure.ts";
import { mountsBelow } from "./mountinfo.ts";
import type { Paths } from "./paths.ts";

/** How directories are made, copied and deleted. `remove` also works on a half-made one, and where there is none. */
export interface DirectoryMaker {
  readonly name: "btrfs" | "copy";
  create(directory: string): Promise<void>;
  copy(from: string, to: string, options: { readOnly: boolean }): Promise<void>;
  /** Makes what an app wrote to a snapshot, durable as it is. */
  seal(directory: string): Promise<void>;
  /** Subvolumes below a directory. */
  nested(directory: string): Promise<string[]>;
  remove(directory: string): Promise<void>;
  createdAt(directory: string): Promise<Date>;
  size(directory: string): Promise<TreeSize>;
  costOfCopy(directory: string, spare: number): Promise<number>;
}

/** A tree under this prefix is being made or removed; found at start, it is a leftover. No other gets its name. */
const HALF_MADE = ".making-";

function halfMadeName(parent: string, id: string): string {
  return join(parent, `${HALF_MADE}${id}-${randomUUID().slice(0, 8)}`);
}

/** Trees as directories `<app>/<kind>/<id>`: made under a temporary name, which a whole and durable one loses. */
export function directoriesDriver(paths: Paths, maker: DirectoryMaker): DataDriver {
  const parentOf = (app: string, kind: TreeKind) => join(paths.data(app), kind);
  const pathOf = ({ app, kind, id }: Tree) => join(parentOf(app, kind), id);

  async function make({ app, kind, id }: Tree, fill: (directory: string) => Promise<void>): Promise<void> {
    const parent = parentOf(app, kind);
    const whole = join(parent, id);
    if ((await unlessMissing(lstat(whole))) !== undefined) return;
    await mkdir(parent, { recursive: true });
    const half = halfMadeName(parent, id);
    try {
      await fill(half);
    } catch (error) {
      await maker.remove(half).catch(() => {}); // it is told as a leftover, and why there is one matters more
      throw error;
    }
    await rename(half, whole);
    await syncDirectory(parent);
  }

  const nestedIn = async (directory: string) => [
    ...(await mountsBelow(directory)).map(({ mountPoint }) => mountPoint),
    ...(await maker.nested(directory)),
  ];

  /** What is in them is in no copy: they may hold the last of it. */
  async function refuseNested(directory: string): Promise<void> {
    const [nested] = await nestedIn(directory);
    if (nested === undefined) return;
    throw new NodeError("data-nested", `${directory}: expected no mount or subvolume in it, found ${nested}`, {
      hint: `keep what matters of ${nested}, then umount it, or btrfs subvolume delete it`,
    });
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
    /** By its name alone: that takes no room, and holds also what no copy would. */
    async keep(version, snapshot) {
      const [from, to] = [pathOf(version), pathOf(snapshot)];
      if ((await unlessMissing(lstat(from))) !== undefined) await renameDurably(from, to);
      await maker.seal(to);
    },
    /** Takes the name away first, so that a half-deleted tree is never taken for a whole one. */
    async remove(tree) {
      await refuseNested(pathOf(tree));
      const half = halfMadeName(parentOf(tree.app, tree.kind), tree.id);
      await unlessMissing(rename(pathOf(tree), half));
      await maker.remove(half);
    },
    async halfMade(app) {
      const parents = (["versions", "snapshots"] as const).map((kind) => parentOf(app, kind));
      const names = await Promise.all(parents.map(async (parent) => (await unlessMissing(readdir(parent))) ?? []));
      return parents.flatMap((parent, at) => {
        const half = (names[at] ?? []).filter((name) => name.startsWith(".")).map((name) => join(parent, name));
        return half.map((place) => ({
          place,
          async remove() {
            await refuseNested(place);
            await maker.remove(place);
          },
        }));
      });
    },
    nested: (tree) => nestedIn(pathOf(tree)),
    show: async (tree) => pathOf(tree),
    hide: async () => {},
    createdAt: (trees) => Promise.all(trees.map((tree) => maker.createdAt(pathOf(tree)))),
    sizes: (trees) => Promise.all(trees.map(sizeOf)),
    costOfCopy: (tree, spare) => maker.costOfCopy(pathOf(tree), spare),
  };
}
