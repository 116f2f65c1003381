/** Versions are what an app writes to, `live` is one of them; snapshots are kept as they were. */
export type TreeKind = "versions" | "snapshots";

/** One tree of an app's data. A version can be written, a snapshot never. */
export interface Tree {
  app: string;
  kind: TreeKind;
  id: string;
}

/** Bytes of a tree. */
export interface TreeSize {
  /** What it holds. */
  bytes: number;
  /** What its removal would give back; absent where the driver cannot tell what is shared with others. */
  exclusive?: number;
}

/** A tree that a kill left half made or half removed, and how it goes. */
export interface HalfMade {
  /** The directory, or the volume as `group/name`. */
  place: string;
  remove(): Promise<void>;
}

/** How full a store is that all trees share, as parts of one. */
export interface PoolUse {
  name: string;
  data: number;
  metadata: number;
}

export type DataDriverName = "btrfs" | "copy" | "lvm";

/**
 * How trees are made, copied and removed. A tree that is listed is whole and durable; what a kill leaves half made is
 * not listed and is told by `halfMade`. Making what is there and removing what is not change nothing.
 */
export interface DataDriver {
  readonly name: DataDriverName;
  list(app: string, kind: TreeKind): Promise<string[]>;
  /** An empty version that belongs to a user. */
  create(tree: Tree, user: number): Promise<void>;
  copy(from: Tree, to: Tree): Promise<void>;
  /** Makes a version that nothing writes to a snapshot. The version may be gone then, or is still to be removed. */
  keep(version: Tree, snapshot: Tree): Promise<void>;
  remove(tree: Tree): Promise<void>;
  halfMade(app: string): Promise<HalfMade[]>;
  /** Mount points and subvolumes below a tree that is shown: no copy of it holds what is in them. */
  nested(tree: Tree): Promise<string[]>;
  /** Makes the tree a directory of the node, until `hide`; both may be repeated. */
  show(tree: Tree): Promise<string>;
  hide(tree: Tree): Promise<void>;
  /** Of several at once, in their order: one question may tell of all. */
  createdAt(trees: readonly Tree[]): Promise<Date[]>;
  /** A tree that goes while it is measured counts 0. */
  sizes(trees: readonly Tree[]): Promise<TreeSize[]>;
  /**
   * Bytes that a copy takes at once, 0 where it shares all, and where any would leave `spare` bytes free. Refuses
   * (`path-too-long`) what no copy could hold.
   */
  costOfCopy(tree: Tree, spare: number): Promise<number>;
  /** Absent where the trees lie on the state's own file system. */
  pool?(): Promise<PoolUse>;
}
