import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { run } from "../../../../effects/process.ts";
import { withTemporaryDirectory } from "../../../../effects/temporary.ts";
import { makeCgroups, removeCgroups } from "../../../../hostd/system/cgroups.ts";
import { unmountBelow } from "../../../../hostd/system/mount.ts";
import { PROGRAMS } from "../../../../hostd/system/programs.ts";
import { describeWith } from "../../../needs.ts";
import { withMount } from "../../../with-mount.ts";
import { eventually, makeDirectory } from "./fixture.ts";

const PARENT = "ostler-prepare-test";

/** prepare.pl's words from the cgroups on: an overlay below `area`, then this command. */
function wordsIn(area: string, cgroups: readonly string[], command: readonly string[]): string[] {
  const [lower, points, root] = ["lower", "points", "root"].map((name) => join(area, name));
  return [PROGRAMS.prepare, process.arch, ...cgroups, "--", `lowerdir=${lower}:${points}`, root ?? "", ...command];
}

/** Mount points below `area` as the process sees them. */
function mountsOf(pid: number | "self", area: string): string[] {
  const points = readFileSync(`/proc/${pid}/mountinfo`, "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "");
  return points.filter((point) => point.startsWith(`${area}/`)).map((point) => point.slice(area.length + 1));
}

/** A file system of its own whose mounts other namespaces are told of, as those of a node are. */
function withSharedArea(use: (area: string) => Promise<void>): Promise<void> {
  return withTemporaryDirectory(tmpdir(), (directory) =>
    withMount(["-t", "tmpfs"], "tmpfs", join(directory, "area"), async (area) => {
      await run(["mount", "--make-shared", area]);
      for (const name of ["lower", "points", "root", "later", "within"]) mkdirSync(join(area, name));
      writeFileSync(join(area, "lower/file"), "of the image");
      try {
        await use(area);
      } finally {
        await unmountBelow(area);
      }
    }),
  );
}

/** Runs prepare.pl, which becomes the command, until the end of the test. */
async function prepared(area: string, cgroups: readonly string[]): Promise<number> {
  const child = spawn("/usr/bin/perl", wordsIn(area, cgroups, ["sleep", "100"]), { stdio: "inherit" });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  await eventually(
    async () => readFileSync(`/proc/${child.pid}/comm`, "utf8").trim(),
    (name) => name === "sleep",
  );
  return child.pid ?? 0;
}

describeWith({ root: true, programs: ["perl", "nsenter"] }, "the first step into a sandbox", () => {
  test("what the node mounts and unmounts later goes there too; what is mounted there stays there", () =>
    withSharedArea(async (area) => {
      const pid = await prepared(area, []);
      expect(mountsOf(pid, area)).toEqual(["root"]);
      expect(mountsOf("self", area)).toEqual([]);
      await run(["mount", "-t", "tmpfs", "tmpfs", join(area, "later")]);
      expect(mountsOf(pid, area)).toEqual(["root", "later"]);
      await run(["umount", join(area, "later")]);
      expect(mountsOf(pid, area)).toEqual(["root"]);
      await run(["nsenter", "--target", String(pid), "--mount", "mount", "-t", "tmpfs", "tmpfs", join(area, "within")]);
      expect(mountsOf(pid, area)).toEqual(["root", "within"]);
      expect(mountsOf("self", area)).toEqual([]);
    }));

  test("it is read-only there, the image above the mount points", () =>
    withSharedArea(async (area) => {
      mkdirSync(join(area, "points/var"));
      const script = `cat ${area}/root/file; ls ${area}/root; ! mkdir ${area}/root/new 2>/dev/null`;
      const { status, stdout } = spawnSync("/usr/bin/perl", wordsIn(area, [], ["sh", "-c", script]), {
        encoding: "utf8",
      });
      expect({ status, stdout }).toEqual({ status: 0, stdout: "of the imagefile\nvar\n" });
    }));

  test("the process is in every cgroup that is named", () =>
    withSharedArea(async (area) => {
      const real = await makeCgroups(PARENT, String(process.pid), { tasks: 16, memory: 64 * 1024 * 1024 }, 0);
      onTestFinished(() => removeCgroups([...real, ...real.map(dirname)])); // runs last: what is in them has ended by then
      const like = makeDirectory(area, "cgroup"); // where this machine lets us make none, the file tells
      const pid = await prepared(area, [...real, like]);
      expect(readFileSync(join(like, "cgroup.procs"), "utf8")).toBe(`${pid}\n`);
      const named = readFileSync(`/proc/${pid}/cgroup`, "utf8")
        .split("\n")
        .filter((line) => line.endsWith(`/${PARENT}/${process.pid}`));
      expect(named).toHaveLength(real.length);
    }));

  test("a cgroup that cannot be joined ends it: nothing runs without its limits", () =>
    withSharedArea(async (area) => {
      const words = wordsIn(area, [join(area, "none")], ["sh", "-c", `echo >${area}/reached`]);
      const { status, stderr } = spawnSync("/usr/bin/perl", words, { encoding: "utf8" });
      expect(status).toBeGreaterThan(0);
      expect(stderr).toContain(`${area}/none: No such file or directory`);
      expect(() => readFileSync(join(area, "reached"))).toThrow(/ENOENT/);
    }));
});
