import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../needs.ts";
import { extractWithTar, openShared, openWorkshop, type Shared, type Workshop } from "./workshop.ts";

describeWith({ root: true, programs: ["bwrap", "getfattr", "zstd", "git", "setcap"] }, "COPY", () => {
  let shared: Shared;
  let count = 0;
  beforeAll(async () => {
    shared = await openShared();
  });
  afterAll(() => shared.remove());

  const open = () => openWorkshop(shared, `copy-${++count}`);
  /** Builds, extracts with GNU tar, and lists what COPY made as `mode uid:gid type path`. */
  async function built(workshop: Workshop, lines: string) {
    const result = await workshop.build(`FROM scratch\n${lines}\n`);
    const out = join(workshop.directory, "..", `out-${count}-${Math.random()}`);
    await extractWithTar(result, workshop.home, out);
    const list = execFileSync("find", [out, "-mindepth", "1", "-printf", "%m %U:%G %y %P%l\\n"]).toString();
    return { out, result, list: list.trim().split("\n").sort() };
  }

  test("a directory gives its contents, a file goes in or becomes the destination, as the trailing slash says", async () => {
    const workshop = open();
    workshop.write("tree/a", "a");
    workshop.write("tree/sub/b", "b");
    const { list } = await built(
      workshop,
      "COPY tree /into\nCOPY tree/a /renamed\nCOPY tree/a tree/sub/b /both/\nCOPY tree/a /into/sub",
    );
    expect(list).toEqual([
      "644 0:0 f both/a",
      "644 0:0 f both/b",
      "644 0:0 f into/a",
      "644 0:0 f into/sub/a",
      "644 0:0 f into/sub/b",
      "644 0:0 f renamed",
      "755 0:0 d both",
      "755 0:0 d into",
      "755 0:0 d into/sub",
    ]);
  });

  test("modes and links come along whatever the umask; owners and times of the machine do not", async () => {
    const workshop = open();
    workshop.write("t/run", "#!/bin/sh\n");
    mkdirSync(join(workshop.directory, "t/private"));
    chmodSync(join(workshop.directory, "t/private"), 0o700);
    symlinkSync("../../etc/passwd", join(workshop.directory, "t/link"));
    execFileSync("chown", ["-R", "4321:4321", join(workshop.directory, "t")]);
    chmodSync(join(workshop.directory, "t/run"), 0o4750);
    const umask = process.umask(0o077);
    try {
      const { list, out } = await built(workshop, "COPY t /t\nCOPY <<x /made/file\nhello\nx");
      expect(list).toEqual([
        "4750 0:0 f t/run",
        "644 0:0 f made/file",
        "700 0:0 d t/private",
        "755 0:0 d made",
        "755 0:0 d t",
        "777 0:0 l t/link../../etc/passwd",
      ]);
      expect(readlinkSync(join(out, "t/link"))).toBe("../../etc/passwd");
    } finally {
      process.umask(umask);
    }
  });

  test("--chown takes numbers, and names of the target tree; --chmod changes what it is told", async () => {
    const workshop = open();
    workshop.write("f", "f");
    workshop.write("d/x", "x");
    const { list } = await built(
      workshop,
      `COPY <<passwd /etc/
app:x:70:71::/:/bin/sh
passwd
COPY --chown=app f /named
COPY --chown=5:6 --chmod=0751 d /d
COPY --chmod=u+x,go= f /symbolic`,
    );
    expect(list).toContain("644 70:70 f named");
    expect(list).toContain("751 5:6 d d");
    expect(list).toContain("751 5:6 f d/x");
    expect(list).toContain("700 0:0 f symbolic");
    await expect(workshop.build("FROM scratch\nCOPY --chown=nobody-here f /f\n")).rejects.toMatchObject({
      code: "user-unknown",
    });
  });

  test(".dockerignore leaves out, `!` takes back, and the recipe's own ignore file goes first", async () => {
    const workshop = open();
    for (const path of ["a/keep.txt", "a/drop.log", "a/deep/drop.log", "a/important.log", "b/x", ".git/HEAD"])
      workshop.write(path, path);
    workshop.write(".dockerignore", "# comment\n**/*.log\n!a/important.log\nb\nthing.recipe\n.dockerignore\n");
    const { list } = await built(workshop, "COPY . /all/");
    expect(list.filter((line) => line.includes(" f "))).toEqual([
      "644 0:0 f all/a/important.log",
      "644 0:0 f all/a/keep.txt",
    ]);
    writeFileSync(`${workshop.recipe}.dockerignore`, "a\n");
    const again = await built(workshop, "COPY . /all/");
    expect(again.list.join("\n")).toContain("all/b/x");
    expect(again.list.join("\n")).not.toContain("all/a/");
    await expect(workshop.build("FROM scratch\nCOPY a /a\n")).rejects.toMatchObject({ code: "source-missing" });
  });

  test("a path that leaves the context is refused, by a link too", async () => {
    const workshop = open();
    symlinkSync("/etc", join(workshop.directory, "absolute"));
    symlinkSync("../..", join(workshop.directory, "upwards"));
    mkdirSync(join(workshop.directory, "real"));
    workshop.write("real/file", "inside");
    symlinkSync("real", join(workshop.directory, "inside"));
    for (const source of ["absolute", "absolute/passwd", "upwards", "upwards/x"]) {
      await expect(workshop.build(`FROM scratch\nCOPY ${source} /x\n`)).rejects.toMatchObject({
        code: "context-escape",
        message: expect.stringMatching(/thing\.recipe:2: step 1\/1: /),
      });
    }
    const { list } = await built(workshop, "COPY inside/file /file");
    expect(list).toEqual(["644 0:0 f file"]);
  });

  test("a missing source, a file over a directory and several sources without a slash are refused by name", async () => {
    const workshop = open();
    workshop.write("a", "");
    workshop.write("b", "");
    const refused = (lines: string) => expect(workshop.build(`FROM scratch\n${lines}\n`)).rejects;
    await refused("COPY nothing /x").toMatchObject({
      code: "source-missing",
      message: expect.stringContaining("nothing"),
    });
    await refused("COPY no*thing /x/").toMatchObject({ code: "source-missing" });
    await refused("WORKDIR /d/a\nCOPY a /d").toMatchObject({
      code: "destination",
      message: expect.stringContaining("/d/a"),
    });
    await refused("COPY [ab] /x").toMatchObject({ code: "destination" });
  });

  test("links of the tree are followed on the way to the destination, inside the tree", async () => {
    const workshop = open();
    workshop.write("f", "new");
    const result = await workshop.build(
      "FROM MINI\nRUN ln -s /opt/base /to && ln -s /../../../tmp /up\nCOPY f /to/copied\nCOPY f /up/\nCOPY f /bin/tool\n",
    );
    const names = workshop.listLayers(result)[1]?.map((line) => line.split(/\s+/).slice(5).join(" "));
    expect(names).toEqual(expect.arrayContaining(["opt/base/copied", "tmp/f", "usr/bin/tool", "to -> /opt/base"]));
  });

  test("COPY --from keeps owners, times, hard links and capabilities", async () => {
    const workshop = open();
    const result = await workshop.build(`FROM MINI
RUN mkdir /src && cp /usr/bin/true /src/one && ln /src/one /src/two && chown 7:8 /src/one && setcap cap_net_raw,cap_setuid+ep /src/one && touch -d @1000 /src
DEPLOY FROM scratch
COPY --from=bootstrap /src /dst
COPY --from=bootstrap /src/two /single
`);
    const out = join(workshop.directory, "out");
    await extractWithTar(result, workshop.home, out);
    const stat = (path: string) =>
      execFileSync("stat", ["-c", "%u:%g %h", join(out, path)])
        .toString()
        .trim();
    expect([stat("dst/one"), stat("dst/two"), stat("single")]).toEqual(["7:8 2", "7:8 2", "7:8 1"]);
    for (const path of ["dst/one", "dst/two", "single"]) {
      expect(execFileSync("getcap", [join(out, path)]).toString()).toContain("cap_setuid");
    }
    expect(
      execFileSync("stat", ["-c", "%Y", join(out, "dst")])
        .toString()
        .trim(),
    ).toBe("1000");
  });

  test("names of any bytes, devices and pipes pass through COPY", async () => {
    const workshop = open();
    writeFileSync(Buffer.concat([Buffer.from(`${workshop.directory}/`), Buffer.from([0x66, 0xff, 0x0a])]), "odd");
    const result = await workshop.build(`FROM MINI
COPY f* /odd/
RUN mkdir /n && mknod $'/n/\\xfe' c 1 3 && mkfifo /n/p
DEPLOY FROM scratch
COPY --from=bootstrap /odd /odd
COPY --from=bootstrap /n /copied
`);
    const out = join(workshop.directory, "out");
    await extractWithTar(result, workshop.home, out);
    const list = execFileSync("find", [out, "-mindepth", "2", "-printf", "%y "]).toString();
    expect(list.trim().split(" ").sort()).toEqual(["c", "f", "p"]);
    expect(execFileSync("ls", ["--quoting-style=c", join(out, "odd"), join(out, "copied")]).toString()).toContain(
      '"f\\377\\n"',
    );
  });

  test("hard links in a context are files of their own; special files are refused by name", async () => {
    const workshop = open();
    workshop.write("d/a", "a");
    linkSync(join(workshop.directory, "d/a"), join(workshop.directory, "d/b"));
    const { list } = await built(workshop, "COPY d /d");
    expect(list).toContain("644 0:0 f d/b");
    execFileSync("mkfifo", [join(workshop.directory, "d/pipe")]);
    await expect(workshop.build("FROM scratch\nCOPY d /d\n")).rejects.toMatchObject({
      code: "context-file",
      message: expect.stringContaining("d/pipe"),
    });
  });

  test("a name that means something in a layer is refused where the step stands", async () => {
    const workshop = open();
    workshop.write("d/.wh.data", "x");
    await expect(workshop.build("FROM scratch\nWORKDIR /srv\nCOPY d /d\n")).rejects.toMatchObject({
      code: "path",
      message: expect.stringMatching(/thing\.recipe:3: step 2\/2: COPY d \/d: \/d\/\.wh\.data: expected no name that/),
      hint: expect.stringContaining("--exclude"),
    });
  });

  test("in a repository tracked files have the modes git has, and the image the time and the id of the commit", async () => {
    const workshop = open();
    workshop.write("src/tracked", "x");
    chmodSync(join(workshop.directory, "src/tracked"), 0o600);
    const git = (...args: string[]) =>
      execFileSync("git", ["-C", workshop.directory, "-c", "user.name=t", "-c", "user.email=t@t", ...args], {
        env: { ...process.env, GIT_COMMITTER_DATE: "1700000000 +0000", GIT_AUTHOR_DATE: "1700000000 +0000" },
      });
    writeFileSync(workshop.recipe, "");
    git("init", "-q");
    git("add", "src");
    git("commit", "-qm", "one");
    const { list, result } = await built(workshop, "DEPLOY\nCOPY src /src");
    expect(list).toContain("644 0:0 f src/tracked");
    expect(result.inputs).toMatchObject({
      epoch: 1_700_000_000,
      commit: git("rev-parse", "HEAD").toString().trim(),
    });
    rmSync(join(workshop.directory, ".git"), { recursive: true });
    const none = await workshop.build(readFileSync(workshop.recipe, "utf8"));
    expect(none.inputs).toMatchObject({ epoch: 315_532_800 });
    expect(none.inputs.commit).toBeUndefined();
    expect(existsSync(join(workshop.directory, ".git"))).toBe(false);
  });
});
