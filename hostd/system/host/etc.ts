import { mkdir, readdir, readlink, realpath, rename, rm, stat, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { renameDurably, syncDirectory, syncTree, TEMPORARY_NAME, writeDurably } from "../../../effects/durable.ts";
import { unlessMissing } from "../../../effects/errno.ts";
import { run } from "../../../effects/process.ts";
import { compareUpper, type Drift, type Entry, entriesIn, entryAt, isAsBelow, lookAt } from "./drift.ts";
import type { Looks } from "./looks.ts";

interface Rendered {
  secret?: boolean;
  path: string;
  bytes: string;
}

/** Most differences that are told; whatever is decided looks at all of them. */
const MOST_DRIFT = 1_000;

const NONE: { drift: Drift[]; same: string[] } = { drift: [], same: [] };

/** /etc of every root: an overlay of `upper` (drift) over `declared` over the image's own (design section 7). */
export interface HostEtc {
  /**
   * Makes declared, upper and work of a root; what was changed in the one that runs is carried over, or with `shared` both
   * have one upper, where the one that runs has any. One that is there keeps what was changed by hand in its upper and is
   * declared anew. Answers how many files were carried; undefined where it was there or nothing had to be.
   */
  make(
    root: string,
    from: { running: string; started: string; shared: boolean },
    rendered: readonly Rendered[],
  ): Promise<number | undefined>;
  /**
   * Replaces files of the root that runs: as they are declared for its next boot, then as they are seen now. What is seen
   * is then what is declared, which is no drift.
   */
  replace(running: string, rendered: readonly Rendered[]): Promise<void>;
  /** Which of these files nothing was declared for in a root: the first one of a disk has its identity alone. */
  undeclared(root: string, paths: readonly string[]): Promise<string[]>;
  /** Whether a boot of the root would find the files of /etc changed as they are in the one that runs, and the other way round. */
  isAlike(root: string, running: string): Promise<boolean>;
  /** The root whose upper this one has: itself where it shares none. */
  ownerOf(root: string): Promise<string>;
  /** Which of these files were changed by hand in the root that runs, with a directory above them or alone. */
  changedByHand(running: string, paths: readonly string[]): Promise<string[]>;
  /** How /etc of the root that runs differs from what is declared for it; the first thousand by name. */
  drift(running: string): Promise<Drift[]>;
  isThere(root: string): Promise<boolean>;
  /** Answers whether it is gone: one that the upper of another root leads through stays, or that one would have none. */
  remove(root: string): Promise<boolean>;
  /** Takes that of every root away at once. What is mounted lasts as long as this boot, and goes at hostd's first start after it. */
  wipe(boot: string): Promise<void>;
}

/** `machineRoot` is where the running system's root is; `looks` at it without /etc over it. */
export function openHostEtc(stateDirectory: string, machineRoot: string, looks: Looks): HostEtc {
  const host = join(stateDirectory, "host");
  const of = (root: string) => join(host, "etc", root);

  /** Identity first, then what the image's CONFIG makes of the declared values. */
  async function declare(directory: string, rendered: readonly Rendered[]): Promise<void> {
    await mkdir(directory, { recursive: true });
    await copyTree(join(host, "identity/etc"), directory);
    await replaceEach(directory, rendered);
    await syncTree(directory);
  }

  /** Where a root is made; what a kill leaves there goes at hostd's next start. */
  async function emptied(root: string): Promise<string> {
    const making = join(host, "etc", `.${root}.making`);
    await rm(making, { recursive: true, force: true });
    return making;
  }

  async function declareAnew(root: string, rendered: readonly Rendered[]): Promise<void> {
    const [making, declared] = [await emptied(root), join(of(root), "declared")];
    await declare(making, rendered);
    await rm(declared, { recursive: true, force: true });
    await renameDurably(making, declared);
  }

  /** Undefined where there is none: one that a reset wiped under the system that runs comes back at the next boot. */
  const upperOf = (root: string) => unlessMissing(realpath(join(of(root), "upper")));

  async function ownerOf(root: string): Promise<string> {
    const upper = await upperOf(root);
    return upper === undefined ? root : basename(dirname(upper));
  }

  /** Both have one upper from now on: what is changed by hand in either is there in the other. */
  async function share(directory: string, running: string): Promise<void> {
    const upper = join(directory, "upper");
    await rm(upper, { recursive: true, force: true });
    await symlink(join("..", await ownerOf(running), "upper"), upper);
    await syncDirectory(directory);
  }

  const all = async () => (await readdir(join(host, "etc"))).filter((name) => !name.startsWith("."));

  /**
   * What was replaced while a root ran is in its upper as well, and would hide what is declared for it next. Copies of what
   * it declared go, or of what any that shares the upper did; what was changed by hand is no copy. Nothing of this in an
   * upper that is mounted.
   */
  async function removeCopies(root: string, mounted: readonly string[], rendered: readonly Rendered[]): Promise<void> {
    const upper = await upperOf(root);
    const owner = await ownerOf(root);
    const owners = new Map(await Promise.all((await all()).map(async (name) => [name, await ownerOf(name)] as const)));
    if (upper === undefined || mounted.some((name) => owners.get(name) === owner)) return;
    const declared = [...owners].filter(([, by]) => by === owner).map(([name]) => join(of(name), "declared"));
    for (const path of rendered.map((file) => relative("/etc", file.path))) {
      const copy = join(upper, path);
      if ((await lookAt(copy)) === undefined) continue;
      const isCopy = await Promise.all(declared.map((directory) => isAsBelow(copy, [directory], path)));
      if (!isCopy.includes(true)) continue;
      await rm(copy);
      await syncDirectory(dirname(copy));
    }
  }

  /** The roots that its upper leads through, itself first: a link may lead to a link. */
  async function hopsOf(root: string): Promise<string[]> {
    const hops: string[] = [];
    for (let hop = root; !hops.includes(hop); ) {
      hops.push(hop);
      const upper = join(of(hop), "upper");
      if ((await lookAt(upper))?.isSymbolicLink()) hop = basename(dirname(await readlink(upper)));
    }
    return hops;
  }

  async function isUsedByOthers(root: string): Promise<boolean> {
    const others = (await all()).filter((name) => name !== root);
    return (await Promise.all(others.map(hopsOf))).some((hops) => hops.includes(root));
  }

  const isThere = async (root: string) => (await unlessMissing(stat(of(root)))) !== undefined;

  async function difference(root: string, most = Infinity): Promise<{ drift: Drift[]; same: string[] }> {
    const upper = await upperOf(root);
    return upper === undefined ? NONE : await compare(root, upper, await entriesIn(upper), most);
  }

  async function compare(
    root: string,
    upper: string,
    entries: readonly Entry[],
    most = Infinity,
  ): Promise<{ drift: Drift[]; same: string[] }> {
    if (entries.length === 0) return NONE;
    // the running root without what is mounted over it: there is the image's own /etc
    return await looks.look(
      (directory) => run(["mount", "--bind", "-o", "ro", machineRoot, directory]),
      (image) => compareUpper(upper, entries, [join(of(root), "declared"), join(image, "etc")], most),
    );
  }

  async function carry(running: string, upper: string): Promise<number> {
    const from = await upperOf(running);
    if (from === undefined) return 0;
    await copyTree(from, upper);
    const { drift, same } = await difference(running);
    for (const path of same) await rm(join(upper, path), { force: true });
    return drift.length;
  }

  return {
    async make(root, { running, started, shared: wanted }, rendered) {
      const shared = wanted && (await upperOf(running)) !== undefined;
      if (await isThere(root)) {
        await removeCopies(root, [running, started], rendered);
        // what the machine stands on is mounted, and keeps its identity
        if (root === started) await replaceEach(join(of(root), "declared"), rendered);
        else await declareAnew(root, rendered);
        if (shared && (await ownerOf(root)) !== (await ownerOf(running))) await share(of(root), running);
        return undefined;
      }
      const making = await emptied(root);
      await mkdir(join(making, "upper"), { recursive: true });
      await mkdir(join(making, "work"));
      await declare(join(making, "declared"), rendered);
      if (shared) await share(making, running);
      const carried = shared ? undefined : await carry(running, join(making, "upper"));
      await syncTree(making);
      await rename(making, of(root));
      await syncDirectory(join(host, "etc"));
      return carried;
    },
    async replace(running, rendered) {
      for (const directory of [join(of(running), "declared"), join(machineRoot, "etc")]) {
        await replaceEach(directory, rendered);
      }
    },
    async undeclared(root, paths) {
      const there = (path: string) => unlessMissing(stat(join(of(root), "declared", relative("/etc", path))));
      const found = await Promise.all(paths.map(there));
      return paths.filter((_, index) => found[index] === undefined);
    },
    async isAlike(root, running) {
      if (!(await isThere(root))) return true;
      if ((await ownerOf(root)) === (await ownerOf(running))) return true;
      return (await difference(root)).drift.length + (await difference(running)).drift.length === 0;
    },
    ownerOf,
    async changedByHand(running, paths) {
      const upper = await upperOf(running);
      if (upper === undefined) return [];
      const entries = await Promise.all(paths.map((path) => entryAt(upper, relative("/etc", path))));
      const { drift } = await compare(
        running,
        upper,
        entries.flatMap((entry) => entry ?? []),
      );
      const changed = new Set(drift.map(({ path }) => relative("/etc", path)));
      return paths.filter((_, index) => changed.has(entries[index]?.path ?? ""));
    },
    drift: async (running) => (await difference(running, MOST_DRIFT)).drift,
    isThere,
    async remove(root) {
      if (await isUsedByOthers(root)) return false;
      const gone = join(host, "etc", `.${root}.gone`);
      await unlessMissing(rename(of(root), gone)); // what never booted has none
      await rm(gone, { recursive: true, force: true });
      return true;
    },
    async wipe(boot) {
      const [place, gone] = [join(host, "etc"), join(host, `.etc.${boot}.gone`)];
      if ((await lookAt(gone)) === undefined) await rename(place, gone);
      else await rm(place, { recursive: true, force: true }); // made since then, so that none of it is mounted
      await mkdir(place, { recursive: true });
      await syncDirectory(host);
    },
  };
}

/** Files one by one, each the old one or the new one at any moment. */
async function replaceEach(directory: string, rendered: readonly Rendered[]): Promise<void> {
  for (const { path, bytes, secret } of rendered) {
    const file = join(directory, relative("/etc", path));
    await mkdir(dirname(file), { recursive: true });
    await removeHalfWritten(file);
    await writeDurably(file, bytes, secret === true ? 0o600 : 0o644);
  }
}

/** What a crash left of an earlier try. */
async function removeHalfWritten(file: string): Promise<void> {
  const names = await readdir(dirname(file));
  const isLeft = (name: string) => name.startsWith(`.${basename(file)}.`) && TEMPORARY_NAME.test(name);
  for (const name of names.filter(isLeft)) await rm(join(dirname(file), name), { force: true });
}

/** With owners, times, whiteouts and extended attributes: an upper directory means them all. */
async function copyTree(from: string, to: string): Promise<void> {
  if ((await unlessMissing(stat(from))) === undefined) return;
  await run(["cp", "--archive", "--no-target-directory", from, to]);
}
