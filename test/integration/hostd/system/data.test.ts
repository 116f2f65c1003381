import { execFileSync, spawnSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { run as runProgram } from "../../../../effects/process.ts";
import { withTemporaryDirectory } from "../../../../effects/temporary.ts";
import { type NodeSystem, openNode } from "../../../../hostd/system/node.ts";
import { describeWith } from "../../../needs.ts";
import { unmountBelow } from "./fixture.ts";

const OPERATE = fileURLToPath(new URL("./operate.ts", import.meta.url));
const USER = 61184;

interface Place {
  node: NodeSystem;
  state: string;
  run: string;
}

type WithPlace = (use: (place: Place) => Promise<void>) => Promise<void>;

async function openPlace(directory: string): Promise<Place> {
  const [state, run] = [join(directory, "state"), join(directory, "run")];
  return { node: await openNode({ stateDirectory: state, runDirectory: run }), state, run };
}

const onCopy: WithPlace = (use) =>
  withTemporaryDirectory(tmpdir(), async (directory) => use(await openPlace(directory)));

/** On a btrfs of its own, in a file. */
const onBtrfs: WithPlace = (use) =>
  withTemporaryDirectory(tmpdir(), async (directory) => {
    const [image, disk] = [join(directory, "image"), join(directory, "disk")];
    await runProgram(["truncate", "--size=256M", image]);
    await runProgram(["mkfs.btrfs", "--quiet", image]);
    await runProgram(["mkdir", disk]);
    await runProgram(["mount", "-o", "loop", image, disk]);
    try {
      await use(await openPlace(disk));
    } finally {
      await unmountBelow(directory);
    }
  });

const drivers: [string, WithPlace, string[]][] = [
  ["copy", onCopy, []],
  ["btrfs", onBtrfs, ["btrfs", "mkfs.btrfs"]],
];

for (const [name, withPlace, programs] of drivers) {
  describeWith({ root: true, programs }, `data of an app, driver ${name}`, () => {
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
        const subvolume =
          spawnSync("btrfs", ["subvolume", "show", join(state, "data/shop/versions/first")]).status === 0;
        expect(subvolume).toBe(name === "btrfs");
      }));

    test("a snapshot keeps what was there, exactly, while the live data goes on", () =>
      withPlace(async ({ node, state }) => {
        const live = await node.dataPath("shop");
        writeFileSync(join(live, "orders"), "1");
        chownSync(join(live, "orders"), USER, USER);
        symlinkSync("orders", join(live, "link"));
        const before = Date.now() - 2000;
        const made = await node.snapshot("shop", "change-7");
        writeFileSync(join(live, "orders"), "12");
        expect(made.id).toBe("change-7");
        expect(Date.parse(made.createdAt)).toBeGreaterThan(before);
        expect(Date.parse(made.createdAt)).toBeLessThan(Date.now() + 2000);
        const kept = join(state, "data/shop/snapshots/change-7");
        expect(readFileSync(join(kept, "orders"), "utf8")).toBe("1");
        expect(statSync(join(kept, "orders")).uid).toBe(USER);
        expect(readlinkSync(join(kept, "link"))).toBe("orders");
        await node.snapshot("shop", "change-7");
        expect(readFileSync(join(kept, "orders"), "utf8")).toBe("1");
      }));

    test("a restore brings the snapshot back as the live version, writable, and can be said twice", () =>
      withPlace(async ({ node, state }) => {
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
        expect(readdirSync(join(state, "data/shop/versions"))).toEqual(["after-9"]);
        await node.restore("shop", "two", "after-10");
        expect(readFileSync(join(live, "more"), "utf8")).toBe("2");
        expect(readFileSync(join(state, "data/shop/snapshots/one/orders"), "utf8")).toBe("1");
      }));

    test("snapshots are listed oldest first and forgotten by id, one at a time", () =>
      withPlace(async ({ node }) => {
        expect(await node.snapshots("shop")).toEqual([]);
        await node.dataPath("shop");
        for (const id of ["b", "a", "c"]) {
          await node.snapshot("shop", id);
          await new Promise((resolve) => setTimeout(resolve, name === "btrfs" ? 1010 : 10));
        }
        expect((await node.snapshots("shop")).map(({ id }) => id)).toEqual(["b", "a", "c"]);
        await node.forget("shop", "a");
        await node.forget("shop", "a");
        expect((await node.snapshots("shop")).map(({ id }) => id)).toEqual(["b", "c"]);
        await expect(node.restore("shop", "a", "x")).rejects.toMatchObject({ code: "data-missing" });
        await expect(node.snapshot("mail", "a")).rejects.toMatchObject({ code: "data-missing" });
      }));

    test("leftovers of a killed daemon are gone at the next start, whole things stay", () =>
      withPlace(async ({ node, state, run }) => {
        await node.dataPath("shop");
        await node.snapshot("shop", "one");
        const data = join(state, "data/shop");
        for (const left of ["versions/.making-x", "snapshots/.making-y", "versions/old"]) {
          execFileSync("cp", ["--archive", join(data, "versions/first"), join(data, left)]);
        }
        symlinkSync("versions/x", join(data, ".live"));
        await openNode({ stateDirectory: state, runDirectory: run });
        expect(readdirSync(data).sort()).toEqual(["live", "snapshots", "versions"]);
        expect(readdirSync(join(data, "versions"))).toEqual(["first"]);
        expect(readdirSync(join(data, "snapshots"))).toEqual(["one"]);
      }));

    test("kill -9 at every step of a restore leaves the old data or the new, whole, and the snapshots", () =>
      withPlace(async ({ node, state, run }) => {
        const live = await node.dataPath("shop");
        writeFileSync(join(live, "a"), "old");
        await node.snapshot("shop", "old");
        writeFileSync(join(live, "a"), "new");
        await node.snapshot("shop", "new");
        let kills = 0;
        const seen = new Set<string>();
        for (const call of ["rename", "symlink", "fsync", "unlink"]) {
          for (let n = 1; n < 12; n++) {
            const target = readFileSync(join(live, "a"), "utf8") === "old" ? "new" : "old";
            const survived = killedAt(call, n, [state, run, "restore", '"shop"', `"${target}"`, `"${call}-${n}"`]);
            const next = await openNode({ stateDirectory: state, runDirectory: run });
            const found = readFileSync(join(await next.dataPath("shop"), "a"), "utf8");
            expect(["old", "new"]).toContain(found);
            expect(readdirSync(join(state, "data/shop/versions"))).toEqual([
              readlinkSync(live).slice("versions/".length),
            ]);
            expect(readdirSync(join(state, "data/shop/snapshots")).sort()).toEqual(["new", "old"]);
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
        expect(kills).toBeGreaterThanOrEqual(5);
        expect([...seen].sort()).toEqual(["done", "undone"]);
        expect(existsSync(join(state, "data/shop/.live"))).toBe(false);
      }));
  });
}

/** Runs operate.ts and kills it at the n-th call of that name, before the call takes effect; true when it never came to it. */
function killedAt(call: string, n: number, args: string[]): boolean {
  const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:signal=SIGKILL:when=${n}`];
  const command = ["-f", "-o", "/dev/null", ...inject, process.execPath, OPERATE, ...args];
  const { status, signal } = spawnSync("strace", command, {
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
    stdio: "ignore",
  });
  return status === 0 && signal === null;
}
