import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run as runProgram } from "../../../../effects/process.ts";
import { withTemporaryDirectory } from "../../../../effects/temporary.ts";
import type { TreeKind } from "../../../../hostd/system/data-driver.ts";
import { unmountBelow } from "../../../../hostd/system/mount.ts";
import { openNode } from "../../../../hostd/system/node.ts";
import { type DataContract, type DataPlace, describeDataContract, namesIn } from "../../../data-contract.ts";
import { describeWith } from "../../../needs.ts";

async function openPlace(directory: string): Promise<DataPlace> {
  const [state, run] = [join(directory, "state"), join(directory, "run")];
  return { node: await openNode({ stateDirectory: state, runDirectory: run }), state, run };
}

/** Both keep a tree as a directory, which a copy of one is too. */
const directories = {
  leave({ state }: DataPlace, kind: TreeKind, name: string, how: "whole" | "half") {
    const data = join(state, "data/shop");
    const path = join(data, kind, how === "half" ? `.making-${name}` : name);
    execFileSync("cp", ["--archive", join(data, "versions/first"), path]);
  },
  trees: ({ state }: DataPlace, kind: TreeKind) => namesIn(join(state, "data/shop", kind)),
  kills: 12,
};

const isSubvolume = (directory: string) => spawnSync("btrfs", ["subvolume", "show", directory]).status === 0;

/** Puts a program before the real one, which the script has as `$real`; `wait_for` is a shell's test to come true, in five seconds at most. */
async function withStandIn(place: DataPlace, name: string, script: string, use: () => Promise<void>): Promise<void> {
  const directory = join(place.state, "../bin");
  const real = execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
  const wait = 'wait_for() { n=0; until test "$@" || test $((n += 1)) -gt 100; do sleep 0.05; done; }';
  mkdirSync(directory);
  writeFileSync(join(directory, name), `#!/bin/sh\nreal=${real}\n${wait}\n${script}\n`, { mode: 0o755 });
  const before = process.env["PATH"];
  process.env["PATH"] = `${directory}:${before}`;
  try {
    await use();
  } finally {
    process.env["PATH"] = before;
  }
}

const copy: DataContract = {
  ...directories,
  withPlace: (use) => withTemporaryDirectory(tmpdir(), async (directory) => use(await openPlace(directory))),
  isOwn: (directory) => !isSubvolume(directory),
  runs: 25,
  deeds: 14,
  pause: 10,
};

/** On a btrfs of its own, in a file. */
const btrfs: DataContract = {
  ...directories,
  withPlace: (use) =>
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
    }),
  isOwn: isSubvolume,
  runs: 8,
  deeds: 14,
  pause: 1010,
};

describeWith({ root: true, programs: ["strace"] }, "data of an app, driver copy", () => {
  describeDataContract(copy);

  test("an old version with a file in it that nobody may remove hinders no restore, and goes once it can", () =>
    copy.withPlace(async ({ node, state }) => {
      const file = join(await node.dataPath("shop"), "fixed");
      await node.snapshot("shop", "one");
      writeFileSync(file, "");
      execFileSync("chattr", ["+i", file]);
      const left = await node.restore("shop", "one", "after-9");
      expect(left).toMatchObject([{ app: "shop", why: { message: expect.stringMatching(/not permitted$/) } }]);
      expect(namesIn(join(state, "data/shop/snapshots"))).toEqual(["one"]);
      const found = namesIn(join(state, "data/shop/versions"));
      expect(found).toEqual([expect.stringMatching(/^\.making-first-/), "after-9"]);
      execFileSync("chattr", ["-i", join(state, "data/shop/versions", found[0] ?? "", "fixed")]);
      expect(await node.removeDataLeftovers()).toEqual([]);
      expect(namesIn(join(state, "data/shop/versions"))).toEqual(["after-9"]);
    }));

  test("data with a path in it that no copy could have is refused before one is made, in few words", () =>
    copy.withPlace(async ({ node }) => {
      const live = await node.dataPath("shop");
      const dig = 'for (1 .. 80) { my $name = "d" x 60; mkdir $name and chdir $name or die $! }';
      execFileSync("perl", ["-e", dig], { cwd: live });
      try {
        await expect(node.snapshotCost("shop", 0)).rejects.toMatchObject({
          code: "path-too-long",
          message: expect.stringMatching(
            /^.{200}\.\.\.: expected paths of at most 3840 bytes in the data, found a longer one$/,
          ),
        });
        await node.wipeData();
        expect(await node.liveData("shop")).toBeUndefined();
      } finally {
        execFileSync("rm", ["-rf", `${live}/${"d".repeat(60)}`]);
      }
    }));

  test("reading a snapshot is paced by what is on the disk, not by its holes", () =>
    copy.withPlace(async ({ node }) => {
      const live = await node.dataPath("shop");
      writeFileSync(join(live, "dense"), Buffer.alloc(1_000_000, 7));
      execFileSync("truncate", ["--size=50M", join(live, "sparse")]);
      await node.snapshot("shop", "one");
      let read = 0;
      const { bytes } = await node.digestSnapshot("shop", "one", async (piece) => {
        read += piece;
      });
      expect(bytes).toBe(1_000_000 + 50 * 1024 ** 2);
      expect(read).toBeGreaterThan(999_999);
      expect(read).toBeLessThan(2_000_000);
    }));

  test("volumes are not chosen over data that is there, nor a pool that is not", () =>
    copy.withPlace(async ({ node, state, run }) => {
      const open = (data: string) => openNode({ stateDirectory: state, runDirectory: run, data });
      await expect(open("lvm:none/pool")).rejects.toThrow();
      await expect(open("zfs")).rejects.toMatchObject({ code: "bad-option" });
      await node.dataPath("shop");
      await expect(open("lvm:vg0/pool")).rejects.toMatchObject({
        code: "other-driver",
        hint: expect.stringMatching(/^leave --data out: hostd goes on with what has it/),
      });
      writeFileSync(join(await node.dataPath("shop"), "orders"), "1");
      const again = await open("auto");
      expect(await again.dataStore()).toEqual({ driver: "copy" });
      expect(readFileSync(join(await again.dataPath("shop"), "orders"), "utf8")).toBe("1");
    }));
});

describeWith({ root: true, programs: ["strace"] }, "data that is measured while its app writes", () => {
  test.each([
    ["a file that goes meanwhile counts nothing", "No such file or directory", true],
    ["a file that cannot be read is an error", "Input/output error", false],
  ])("%s", (_, why, isMeasured) =>
    copy.withPlace(async (place) => {
      const { node } = place;
      writeFileSync(join(await node.dataPath("shop"), "orders"), Buffer.alloc(100_000, 7));
      await node.snapshot("shop", "one");
      const told = `"$real" "$@"\necho "du: cannot access 'x': ${why}" >&2\nexit 1`; // as GNU du ends then
      await withStandIn(place, "du", told, async () => {
        const sizes = node.snapshotSizes("shop");
        if (isMeasured) expect((await sizes)["one"]?.bytes).toBeGreaterThan(99_999);
        else await expect(sizes).rejects.toMatchObject({ exitCode: 1 });
      });
    }),
  );
});

describeWith({ root: true, programs: ["strace"] }, "data of two apps", () => {
  test("a copy of the one's, however long it takes, does not keep the other from its data", () =>
    copy.withPlace(async (place) => {
      const { node, state } = place;
      await node.dataPath("shop");
      const ended: string[] = [];
      const untilOther = `wait_for -e '${state}/data/mail/live'\nexec "$real" "$@"`;
      await withStandIn(place, "cp", untilOther, async () => {
        const kept = node.snapshot("shop", "one").then(() => ended.push("snapshot of shop"));
        await node.dataPath("mail").then(() => ended.push("data of mail"));
        await kept;
      });
      expect(ended).toEqual(["data of mail", "snapshot of shop"]);
    }));

  test("measuring keeps nobody waiting, and what is forgotten meanwhile counts nothing", () =>
    copy.withPlace(async (place) => {
      const { node } = place;
      writeFileSync(join(await node.dataPath("shop"), "orders"), Buffer.alloc(100_000, 7));
      for (const id of ["one", "two"]) await node.snapshot("shop", id);
      const untilGone = 'case "$*" in */one) wait_for ! -e "$3" ;; esac\nexec "$real" "$@"';
      await withStandIn(place, "du", untilGone, async () => {
        const sizes = node.snapshotSizes("shop");
        await node.forget("shop", "one");
        expect((await sizes)["one"]?.bytes ?? 0).toBe(0);
        expect((await sizes)["two"]?.bytes).toBeGreaterThan(99_999);
      });
    }));
});

describeWith({ root: true, programs: ["btrfs", "mkfs.btrfs", "strace"] }, "data of an app, driver btrfs", () => {
  describeDataContract(btrfs);

  test("an old version with a subvolume in it stays, with all that is in that, and hinders no restore", () =>
    btrfs.withPlace(async ({ node, state }) => {
      const live = await node.dataPath("shop");
      await node.snapshot("shop", "one");
      const volumes = join(state, "data/shop/versions/first/deep/vols");
      mkdirSync(join(volumes, ".."));
      execFileSync("btrfs", ["subvolume", "create", volumes], { stdio: "ignore" });
      writeFileSync(join(volumes, "orders"), "in it alone");
      expect(await node.nestedInData("shop")).toEqual([volumes]);
      const left = await node.restore("shop", "one", "after-9");
      expect(left).toMatchObject([{ app: "shop", why: { code: "data-nested" } }]);
      expect(readlinkSync(live)).toBe("versions/after-9");
      expect(readFileSync(join(volumes, "orders"), "utf8")).toBe("in it alone");
      execFileSync("btrfs", ["subvolume", "delete", volumes], { stdio: "ignore" });
      expect(await node.removeDataLeftovers()).toEqual([]);
      expect(namesIn(join(state, "data/shop/versions"))).toEqual(["after-9"]);
    }));

  test("what a snapshot holds alone is told apart from what it shares", () =>
    btrfs.withPlace(async ({ node }) => {
      const live = await node.dataPath("shop");
      writeFileSync(join(live, "orders"), Buffer.alloc(1_000_000, 7));
      await node.snapshot("shop", "one");
      const { one } = await node.snapshotSizes("shop");
      expect(one?.bytes).toBeGreaterThan(999_999);
      expect(one?.exclusive).toBe(0);
      writeFileSync(join(live, "orders"), Buffer.alloc(1_000_000, 8));
      execFileSync("sync", ["--file-system", live]);
      expect((await node.snapshotSizes("shop"))["one"]?.exclusive).toBeGreaterThan(999_999);
      expect(await node.snapshotCost("shop", Number.POSITIVE_INFINITY)).toBe(0);
    }));
});
