import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import type { Entry } from "../../../images/entry.ts";
import { createTarReader } from "../../../images/tar/read.ts";
import { END_OF_ARCHIVE, encodeHeader } from "../../../images/tar/write.ts";
import { describeWith } from "../../needs.ts";

const HUGE = 9 * 1024 ** 3;
const LONG = `${"long/".repeat(50)}name`;

let parent: string;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "tar-"));
  await mkdir(join(parent, "tree", LONG), { recursive: true });
  await writeFile(join(parent, "tree", "file"), "content");
  await symlink(`/${LONG}`, join(parent, "tree", "link"));
  await writeFile(join(parent, "huge"), "");
  await truncate(join(parent, "huge"), HUGE);
});

afterAll(async () => {
  await rm(parent, { recursive: true, force: true });
});

/** The first bytes of an archive that GNU tar begins to write. */
async function beginning(args: string[]): Promise<Buffer> {
  const child = spawn("tar", args, { stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  for await (const chunk of child.stdout) {
    child.kill();
    await ended;
    return chunk as Buffer;
  }
  throw new Error("expected an archive");
}

function entriesOf(archive: Buffer): Entry[] {
  const entries: Entry[] = [];
  createTarReader({ entry: (entry) => entries.push(entry), data: () => {} }).push(archive);
  return entries;
}

describeWith({ programs: ["tar"] }, "GNU tar's archives", () => {
  test.each(["gnu", "pax", "posix"])("of format %s are read with long names and long links", async (format) => {
    const archive = join(parent, `${format}.tar`);
    await run(["tar", `--format=${format}`, "-cf", archive, "-C", join(parent, "tree"), "."]);
    const entries = entriesOf(await readFile(archive));
    expect(entries.map(({ path }) => path)).toEqual(expect.arrayContaining(["", "file", "link", LONG]));
    expect(entries.find(({ path }) => path === "link")?.link).toBe(`/${LONG}`);
  });

  test.each(["v7", "oldgnu", "ustar"])("of the old format %s are read", async (format) => {
    const archive = join(parent, `${format}.tar`);
    await run(["tar", `--format=${format}`, "-cf", archive, "-C", join(parent, "tree"), "file"]);
    expect(entriesOf(await readFile(archive))).toMatchObject([{ path: "file", type: "file", size: 7 }]);
  });

  test.each(["gnu", "pax"])("of format %s are read with files of more than 8 GiB", async (format) => {
    const archive = await beginning([`--format=${format}`, "-cf", "-", "-C", parent, "huge"]);
    expect(entriesOf(archive)).toMatchObject([{ path: "huge", size: HUGE }]);
  });

  test.each([["gnu"], ["pax"]])("of format %s with holes are refused", async (format) => {
    const archive = await beginning(["--sparse", `--format=${format}`, "-cf", "-", "-C", parent, "huge"]);
    expect(() => entriesOf(archive)).toThrow(/expected .*, got .*sparse/i);
  });
});

describeWith({ programs: ["tar"] }, "our archives", () => {
  test("are listed by GNU tar with a file of more than 8 GiB", async () => {
    const entry: Entry = {
      path: "huge",
      type: "file",
      mode: 0o644,
      uid: 3_000_000,
      gid: 0,
      mtime: { seconds: -1, nanoseconds: 0 },
      size: HUGE,
      link: "",
      device: { major: 0, minor: 0 },
      xattrs: new Map(),
    };
    const listing = await list(encodeHeader(entry));
    expect(listing).toContain(`-rw-r--r-- 3000000/0 ${HUGE} 1969-12-31 23:59:59 huge`);
  });

  test("may be empty", async () => {
    expect(await list(END_OF_ARCHIVE)).toBe("");
  });
});

/** What GNU tar says of an archive, even one whose content is cut off. */
async function list(archive: Buffer): Promise<string> {
  const child = spawn("tar", ["-tvf", "-", "--numeric-owner", "--full-time"], {
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, TZ: "UTC" },
  });
  child.stdin.end(archive);
  let listing = "";
  for await (const chunk of child.stdout) listing += chunk;
  return listing;
}
