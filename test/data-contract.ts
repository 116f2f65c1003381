import { spawnSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { chooseDue } from "../hostd/data/keep.ts";
import type { TreeKind } from "../hostd/system/data-driver.ts";
import { type NodeSystem, openNode } from "../hostd/system/node.ts";
import { withMemoryFilesystem } from "./with-mount.ts";

const OPERATE = fileURLToPath(new URL("./integration/hostd/system/operate.ts", import.meta.url));
const USER = 61184;

/** Where a driver is tested: a node of its own for each test. */
export interface DataPlace {
  node: NodeSystem;
  state: string;
  run: string;
}

export interface DataContract {
  withPlace(use: (place: DataPlace) => Promise<void>): Promise<void>;
  /** Whether a live version is what this driver makes trees of. */
  isOwn(directory: string): boolean;
  /** Leaves a tree of `shop` as a killed daemon may: a whole one, or one that is half made. */
  leave(place: DataPlace, kind: TreeKind, name: string, how: "whole" | "half"): void;
  /** Trees of `shop` of a kind, as the driver's own tools see them. */
  trees(place: DataPlace, kind: TreeKind): string[];
  /** Most kills at each kind of system call, and most runs of the model: a slow machine takes fewer. */
  kills: number;
  runs: number;
  /** Most deeds in one run. */
  deeds: number;
  /** Apart, so that two are not of one time. */
  pause: number;
}

/** What every data driver does alike: to be called within a `describe`. */
export function describeDataContract({
  withPlace,
  isOwn,
  leave,
  trees,
  kills: most,
  runs,
  deeds: longest,
  pause,
}: DataContract): void {
  async function reopen({ state, run }: DataPlace): Promise<NodeSystem> {
    const node = await openNode({ stateDirectory: state, runDirectory: run });
    expect(await node.removeDataLeftovers()).toEqual([]);
    return node;
  }
  const kept = (place: DataPlace, id: string, file: string) =>
    place.node.withSnapshot("shop", id, async (directory) => readFileSync(join(directory, file), "utf8"));

  test("the first version is empty and the app's; asking again changes nothing", () =>
    withPlace(async ({ node, state }) => {
      const live = await node.dataPath("shop");
      expect(live).toBe(join(state, "data/shop/live"));
      expect(readlinkSync(live)).toBe("versions/first");
      expect(readdirSync(live)).toEqual([]);
      expect([statSync(live).uid, statSync(live).gid]).toEqual([USER, USER]);
      writeFileSync(join(live, "orders"), "1");
      expect(await node.dataPath("shop")).toBe(live);
      expect(readFileSync(join(live, "orders"), "utf8")).toBe("1");
      expect(isOwn(join(state, "data/shop/versions/first"))).toBe(true);
    }));

  test("a snapshot keeps what was there, exactly, while the live data goes on; its digest is that of the same data", () =>
    withPlace(async (place) => {
      const { node } = place;
      const live = await node.dataPath("shop");
      writeFileSync(join(live, "orders"), "1");
      chownSync(join(live, "orders"), USER, USER);
      symlinkSync("orders", join(live, "link"));
      const before = Date.now() - 2000;
      const made = await node.snapshot("shop", "change-7");
      const digest = await node.digestSnapshot("shop", "change-7");
      expect(digest).toMatchObject({ files: 1, bytes: 1 });
      await node.snapshot("shop", "again");
      expect((await node.digestSnapshot("shop", "again")).value).toBe(digest.value);
      writeFileSync(join(live, "orders"), "12");
      expect(made.id).toBe("change-7");
      expect(Date.parse(made.createdAt)).toBeGreaterThan(before);
      expect(Date.parse(made.createdAt)).toBeLessThan(Date.now() + 2000);
      await node.withSnapshot("shop", "change-7", async (directory) => {
        expect(readFileSync(join(directory, "orders"), "utf8")).toBe("1");
        expect(statSync(join(directory, "orders")).uid).toBe(USER);
        expect(readlinkSync(join(directory, "link"))).toBe("orders");
      });
      expect(await kept(place, "change-7", "orders")).toBe("1");
      expect((await node.digestSnapshot("shop", "change-7")).value).toBe(digest.value);
      const sizes = await node.snapshotSizes("shop");
      expect(Object.keys(sizes).sort()).toEqual(["again", "change-7"]);
    }));

  test("a snapshot holds the live data of now, whatever lay under its name", () =>
    withPlace(async (place) => {
      const { node } = place;
      const live = await node.dataPath("shop");
      writeFileSync(join(live, "orders"), "old");
      leave(place, "snapshots", "before-g2", "whole");
      writeFileSync(join(live, "orders"), "now");
      await node.snapshot("shop", "before-g2");
      expect(await kept(place, "before-g2", "orders")).toBe("now");
      await node.withSnapshot("shop", "before-g2", async () => {
        await expect(node.snapshot("shop", "before-g2")).rejects.toMatchObject({ code: "data-in-use" });
      });
      expect(trees(place, "snapshots")).toEqual(["before-g2"]);
    }));

  test("a restore brings the snapshot back as the live version, writable, and can be said twice", () =>
    withPlace(async (place) => {
      const { node } = place;
      const live = await node.dataPath("shop");
      writeFileSync(join(live, "orders"), "1");
      await node.snapshot("shop", "one");
      writeFileSync(join(live, "orders"), "2");
      writeFileSync(join(live, "more"), "2");
      await node.snapshot("shop", "two");
      await node.restore("shop", "one", "after-9");
      expect(readlinkSync(live)).toBe("versions/after-9");
      expect(readdirSync(live)).toEqual(["orders"]);
      expect(readFileSync(join(live, "orders"), "utf8")).toBe("1");
      expect(statSync(`${live}/`).uid).toBe(USER);
      writeFileSync(join(live, "orders"), "3");
      await node.restore("shop", "one", "after-9");
      expect(readFileSync(join(live, "orders"), "utf8")).toBe("3");
      expect(trees(place, "versions")).toEqual(["after-9"]);
      await node.restore("shop", "two", "after-10");
      expect(readFileSync(join(live, "more"), "utf8")).toBe("2");
      expect(await kept(place, "one", "orders")).toBe("1");
    }));

  test("live data that is set aside is a snapshot, as it was, and the next version begins anew; it can be said twice", () =>
    withPlace(async (place) => {
      const { node } = place;
      const live = await node.dataPath("shop");
      writeFileSync(join(live, "orders"), "1");
      leave(place, "snapshots", "kept-g1", "whole");
      await node.setDataAside("shop", "kept-g1");
      expect(await node.liveData("shop")).toBeUndefined();
      await node.setDataAside("shop", "kept-g1");
      expect(await kept(place, "kept-g1", "orders")).toBe("1");
      expect(trees(place, "versions")).toEqual([]);
      expect(readdirSync(await node.dataPath("shop"))).toEqual([]);
      expect(await node.restore("shop", "kept-g1", "back")).toEqual([]);
      writeFileSync(join(live, "orders"), "2");
      expect(await kept(place, "kept-g1", "orders")).toBe("1");
    }));

  test("snapshots are listed oldest first and forgotten by id, one at a time, and never while they are read", () =>
    withPlace(async ({ node }) => {
      expect(await node.snapshots("shop")).toEqual([]);
      await node.dataPath("shop");
      for (const id of ["b", "a", "c"]) {
        await node.snapshot("shop", id);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
      expect((await node.snapshots("shop")).map(({ id }) => id)).toEqual(["b", "a", "c"]);
      await node.withSnapshot("shop", "a", async () => {
        expect(node.snapshotsBeingRead("shop")).toEqual(["a"]);
        await expect(node.forget("shop", "a")).rejects.toMatchObject({ code: "data-in-use" });
      });
      expect(node.snapshotsBeingRead("shop")).toEqual([]);
      await node.forget("shop", "a");
      await node.forget("shop", "a");
      expect((await node.snapshots("shop")).map(({ id }) => id)).toEqual(["b", "c"]);
      await expect(node.restore("shop", "a", "x")).rejects.toMatchObject({ code: "data-missing" });
      await expect(node.snapshot("mail", "a")).rejects.toMatchObject({ code: "data-missing" });
      await expect(node.digestSnapshot("shop", "a")).rejects.toMatchObject({ code: "data-missing" });
    }));

  test("leftovers of a killed daemon are gone at the next start, whole things stay; a wipe leaves nothing", () =>
    withPlace(async (place) => {
      const { node, state } = place;
      await node.dataPath("shop");
      await node.snapshot("shop", "one");
      leave(place, "versions", "x", "half");
      leave(place, "snapshots", "y", "half");
      leave(place, "versions", "old", "whole");
      symlinkSync("versions/x", join(state, "data/shop/.live"));
      const next = await reopen(place);
      expect(readdirSync(join(state, "data/shop")).sort()).toEqual(["live", "snapshots", "versions"]);
      expect(trees(place, "versions")).toEqual(["first"]);
      expect(trees(place, "snapshots")).toEqual(["one"]);
      await next.wipeData();
      expect([...trees(place, "versions"), ...trees(place, "snapshots")]).toEqual([]);
    }));

  test("an old version with a mount in it stays, with all that is on that, and hinders no restore", () =>
    withPlace(async (place) => {
      const { node, state } = place;
      const live = await node.dataPath("shop");
      await node.snapshot("shop", "one");
      expect(await node.nestedInData("shop")).toEqual([]);
      leave(place, "versions", "old", "whole");
      const disk = join(state, "data/shop/versions/first/disk");
      await withMemoryFilesystem(disk, async () => {
        writeFileSync(join(disk, "orders"), "on it alone");
        expect(await node.nestedInData("shop")).toEqual([disk]);
        const [left, ...more] = await node.restore("shop", "one", "after-9");
        expect(left).toMatchObject({ app: "shop", place: join(state, "data/shop/versions/first") });
        expect(more).toEqual([]);
        expect(await node.removeDataLeftovers()).toEqual([left]);
        expect(readlinkSync(live)).toBe("versions/after-9");
        expect(trees(place, "versions")).toEqual(["after-9", "first"]);
        expect(readFileSync(join(disk, "orders"), "utf8")).toBe("on it alone");
      });
      expect(await node.removeDataLeftovers()).toEqual([]);
      expect(trees(place, "versions")).toEqual(["after-9"]);
    }));

  test("kill -9 at every step of a restore leaves the old data or the new, whole, and the snapshots", () =>
    withPlace(async (place) => {
      const { node, state, run } = place;
      const live = await node.dataPath("shop");
      writeFileSync(join(live, "a"), "old");
      await node.snapshot("shop", "old");
      writeFileSync(join(live, "a"), "new");
      await node.snapshot("shop", "new");
      let kills = 0;
      const seen = new Set<string>();
      for (const call of ["rename", "symlink", "fsync", "unlink"]) {
        for (let n = 1; n <= most; n++) {
          const target = readFileSync(join(live, "a"), "utf8") === "old" ? "new" : "old";
          const survived = killedAt(call, n, [state, run, "restore", '"shop"', `"${target}"`, `"${call}-${n}"`]);
          const next = await reopen(place);
          const found = readFileSync(join(await next.dataPath("shop"), "a"), "utf8");
          expect(["old", "new"]).toContain(found);
          expect(trees(place, "versions")).toEqual([readlinkSync(live).slice("versions/".length)]);
          expect(trees(place, "snapshots")).toEqual(["new", "old"]);
          if (survived) {
            expect(found).toBe(target);
            break;
          }
          kills++;
          seen.add(found === target ? "done" : "undone");
          await next.restore("shop", target, `${call}-${n}`);
          expect(readFileSync(join(live, "a"), "utf8")).toBe(target);
        }
      }
      expect(kills).toBeGreaterThanOrEqual(Math.min(5, most));
      expect([...seen].sort()).toEqual(["done", "undone"]);
      expect(existsSync(join(state, "data/shop/.live"))).toBe(false);
    }));

  test("whatever is written, kept, restored, forgotten and expired, in any order: a model says what is there", () =>
    fc.assert(
      fc.asyncProperty(fc.array(deed, { minLength: 4, maxLength: longest }), (deeds) =>
        withPlace(async (place) => {
          const model = emptyModel();
          writeFileSync(join(await place.node.dataPath("shop"), "text"), model.live);
          for (const one of deeds) {
            await follow(place, model, one);
            const live = await place.node.dataPath("shop");
            expect(readFileSync(join(live, "text"), "utf8")).toBe(model.live);
            expect(trees(place, "snapshots")).toEqual([...model.snapshots.keys()].sort());
          }
          for (const [id, { text }] of model.snapshots) expect(await kept(place, id, "text")).toBe(text);
        }),
      ),
      { numRuns: runs, endOnFailure: true },
    ));

  async function follow(place: DataPlace, model: Model, one: Deed): Promise<void> {
    const { node } = place;
    const ids = [...model.snapshots.keys()];
    const id = ids[one.at % Math.max(1, ids.length)];
    switch (one.kind) {
      case "write":
        model.live = `text ${++model.count}`;
        writeFileSync(join(await node.dataPath("shop"), "text"), model.live);
        return;
      case "snapshot": {
        const name = `s${++model.count}`;
        model.snapshots.set(name, { text: model.live, expires: one.at % 2 === 0 ? model.now + one.at : undefined });
        await node.snapshot("shop", name);
        return;
      }
      case "restore":
        if (id === undefined) return;
        model.live = model.snapshots.get(id)?.text ?? "";
        await node.restore("shop", id, `v${++model.count}`);
        return;
      case "forget":
        if (id === undefined) return;
        model.snapshots.delete(id);
        await node.forget("shop", id);
        return;
      case "expire": {
        model.now += one.at;
        for (const due of chooseDue(documentsOf(model), new Map(), new Date(model.now))) await node.forget("shop", due);
        for (const [name, { expires }] of model.snapshots) {
          if (expires !== undefined && expires <= model.now) model.snapshots.delete(name);
        }
        return;
      }
      case "reopen":
        place.node = await reopen(place);
    }
  }
}

interface Model {
  live: string;
  snapshots: Map<string, { text: string; expires: number | undefined }>;
  now: number;
  count: number;
}

interface Deed {
  kind: "write" | "snapshot" | "restore" | "forget" | "expire" | "reopen";
  at: number;
}

const emptyModel = (): Model => ({ live: "nothing", snapshots: new Map(), now: 0, count: 0 });

const deed: fc.Arbitrary<Deed> = fc.record({
  kind: fc.constantFrom("write", "snapshot", "snapshot", "restore", "forget", "expire", "reopen"),
  at: fc.nat(20),
});

function documentsOf(model: Model) {
  const about = { app: "shop", format: 1, operation: 1, reason: "", taken: "", consistency: "stopped" } as const;
  return [...model.snapshots].map(([id, { expires }]) => ({
    ...about,
    id,
    ...(expires === undefined ? {} : { expires: new Date(expires).toISOString() }),
  }));
}

/** Names in a directory of trees, without those of half-made ones; none where there is no directory. */
export function namesIn(directory: string): string[] {
  return existsSync(directory) && lstatSync(directory).isDirectory() ? readdirSync(directory).sort() : [];
}

/** Runs operate.ts and kills it at the n-th call of that name, before the call takes effect; true when it never came to it. */
function killedAt(call: string, n: number, args: string[]): boolean {
  const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:signal=SIGKILL:when=${n}`];
  // -b: the daemon is killed, not one of the programs that it starts, which make the same calls
  const command = ["-f", "-b", "execve", "-o", "/dev/null", ...inject, process.execPath, OPERATE, ...args];
  const { status, signal } = spawnSync("strace", command, {
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
    stdio: "ignore",
  });
  return status === 0 && signal === null;
}
