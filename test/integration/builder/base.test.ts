import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { verifyBuild } from "../../../builder/verify.ts";
import { loadImage } from "../../../images/image.ts";
import { openStore } from "../../../images/store.ts";
import { describeWith } from "../../needs.ts";
import { extractWithTar, openShared, openWorkshop, type Shared } from "./workshop.ts";

describeWith({ root: true, programs: ["bwrap", "getfattr", "zstd", "skopeo"] }, "FROM and the lock", () => {
  let shared: Shared;
  let count = 0;
  beforeAll(async () => {
    shared = await openShared();
  });
  afterAll(() => shared.remove());
  const open = () => openWorkshop(shared, `base-${++count}`);
  const lockOf = (recipe: string) => JSON.parse(readFileSync(`${recipe}.lock`, "utf8"));

  test("image: takes the layers of an image of ours as they are, with its environment and settings", async () => {
    const lower = open();
    const base = await lower.build(
      'FROM MINI\nENV COLOUR=blue\nWORKDIR /work\nUSER app\nLABEL a=b\nSTOPSIGNAL INT\nENTRYPOINT ["/usr/bin/cat"]\nCMD ["/etc/passwd"]\nRUN --mount=type=tmpfs,target=/tmp true\n',
    );
    execFileSync("sh", ["-c", `cp ${lower.recipe} ${lower.directory}/lower.recipe`]);
    const upper = openWorkshop(shared, "upper", lower.home);
    const tags = await openStore(join(lower.home, "store"));
    await tags.tag("lower:latest", base.descriptor);
    const result = await upper.build("FROM image:lower\nUSER root\nRUN echo $COLOUR > out\nUSER app\n");
    expect(result.layers.slice(0, base.layers.length).map(({ digest }) => digest)).toEqual(
      base.layers.map(({ digest }) => digest),
    );
    expect(result.layers.map(({ section }) => section)).toEqual([...base.layers.map(() => "base"), "bootstrap"]);
    const { config } = await loadImage(tags, result.reference);
    expect(config.config).toMatchObject({
      Entrypoint: ["/usr/bin/cat"],
      Cmd: ["/etc/passwd"],
      WorkingDir: "/work",
      User: "app",
      StopSignal: "SIGINT",
    });
    expect(config.config.Labels).toMatchObject({ a: "b" });
    await extractWithTar(result, lower.home, join(upper.directory, "out"));
    expect(readFileSync(join(upper.directory, "out/work/out"), "utf8")).toBe("blue\n");
    expect(lockOf(upper.recipe).bases).toEqual({ "image:lower": base.descriptor.digest });
    const missing = upper.build("FROM image:nowhere\nRUN true\n");
    await expect(missing).rejects.toMatchObject({
      code: "base-missing",
      message: expect.stringContaining("image:nowhere"),
    });
  });

  test("a lock pins an image that has moved, --update takes the new one, and a recipe without lock is refused when locked", async () => {
    const workshop = open();
    const store = await openStore(join(workshop.home, "store"));
    const lower = openWorkshop(shared, "moving", workshop.home);
    const name = async (text: string) => {
      const result = await lower.build(`FROM MINI\nRUN echo ${text} > /text\n`);
      await store.tag("moving:latest", result.descriptor);
      return result.descriptor.digest;
    };
    const one = await name("one");
    await expect(workshop.build("FROM image:moving\nRUN true\n", { locked: true })).rejects.toMatchObject({
      code: "lock-missing",
      outcome: "refused",
      hint: expect.stringContaining("ostler build thing.recipe"),
    });
    expect(existsSync(`${workshop.recipe}.lock`)).toBe(false);
    const first = await workshop.build("FROM image:moving\nRUN cat /text > /copy\n");
    expect(first.inputs.bases).toEqual({ "image:moving": one });
    const two = await name("two");
    const pinned = await workshop.build("FROM image:moving\nRUN cat /text > /copy\n", { locked: true });
    expect(pinned.descriptor).toEqual(first.descriptor);
    const updated = await workshop.build("FROM image:moving\nRUN cat /text > /copy\n", { update: true });
    expect(updated.inputs.bases).toEqual({ "image:moving": two });
    expect(lockOf(workshop.recipe).bases).toEqual({ "image:moving": two });
    const added = workshop.build("FROM MINI\nCOPY --from=image:moving /text /text\n", { locked: true });
    await expect(added).rejects.toMatchObject({
      code: "base-drift",
      outcome: "refused",
      hint: expect.stringContaining("--update"),
    });
  });

  test("a lock and a tar that are damaged are told by their files, with what to do", async () => {
    const workshop = open();
    writeFileSync(`${workshop.recipe}.lock`, "<<<<<<< ours\n");
    await expect(workshop.build("FROM MINI\n")).rejects.toMatchObject({
      code: "lock-damaged",
      message: expect.stringContaining("thing.recipe.lock: recipe lock: expected UTF-8 JSON"),
      hint: expect.stringContaining("git checkout thing.recipe.lock"),
    });
    rmSync(`${workshop.recipe}.lock`);
    const gzip = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]);
    for (const [name, bytes] of [
      ["not.tar", Buffer.alloc(2048, "no tar\n")],
      ["cut.tar.gz", gzip],
    ] as const) {
      writeFileSync(join(workshop.directory, name), bytes);
      await expect(workshop.build(`FROM tar:${name}\n`)).rejects.toMatchObject({
        code: "base-damaged",
        message: expect.stringMatching(
          new RegExp(`^FROM tar:${name}: /.*/${name}: expected a root file system as tar: `),
        ),
        hint: expect.stringContaining("tar --numeric-owner"),
      });
    }
  });

  test("a base that is no longer what the lock pins is refused, and the lock stays", async () => {
    const workshop = open();
    const tar = join(workshop.directory, "root.tar");
    const make = (text: string) => {
      writeFileSync(join(workshop.directory, "file"), text);
      execFileSync("tar", ["-cf", tar, "-C", workshop.directory, "--owner=0", "--group=0", "--mtime=@1", "file"]);
    };
    make("one");
    await workshop.build("FROM tar:root.tar\nCOPY file /other\n");
    const lock = readFileSync(`${workshop.recipe}.lock`, "utf8");
    make("two");
    await expect(workshop.build("FROM tar:root.tar\nCOPY file /other\n")).rejects.toMatchObject({
      code: "base-drift",
      message: expect.stringContaining("FROM tar:root.tar: expected sha256:"),
    });
    expect(readFileSync(`${workshop.recipe}.lock`, "utf8")).toBe(lock);
    await workshop.build("FROM tar:root.tar\nCOPY file /other\n", { update: true });
    expect(readFileSync(`${workshop.recipe}.lock`, "utf8")).not.toBe(lock);
  });

  test("oci: reads a layout of another tool, gzip layers too, and squashes it into one layer that a node can prove", async () => {
    const lower = open();
    await lower.build("FROM MINI\nRUN rm /etc/group && echo x > /x\n", { compression: "gzip" });
    const upper = openWorkshop(shared, "from-oci", lower.home);
    const layout = join(upper.directory, "layout");
    // Docker's own format has no annotations: what comes back says nothing of ours
    execFileSync("skopeo", [
      "copy",
      "-q",
      "--format",
      "v2s2",
      `oci:${lower.home}/store:thing:latest`,
      `dir:${layout}-dir`,
    ]);
    execFileSync("skopeo", ["copy", "-q", `dir:${layout}-dir`, `oci:${layout}:any`]);
    const manifestFile = readFileSync(join(layout, "index.json"), "utf8");
    const digest = JSON.parse(manifestFile).manifests[0].digest as string;
    expect(digest).toMatch(/^sha256:/);
    const result = await upper.build("FROM oci:layout\nRUN test -e /x && test ! -e /etc/group && touch /y\n");
    expect(result.inputs.bases).toEqual({ "oci:layout": digest });
    expect(result.layers.map(({ section }) => section)).toEqual(["base", "bootstrap"]);
    const out = join(upper.directory, "out");
    await extractWithTar(result, lower.home, out);
    expect(existsSync(join(out, "x"))).toBe(true);
    rmSync(layout, { recursive: true });
    await expect(
      upper.build("FROM oci:layout\nRUN true\n", { home: join(shared.directory, "fresh-home") }),
    ).rejects.toMatchObject({ code: "base-missing" });
  });

  test("--verify shows the first path that a second build makes differently, and moves no tag", async () => {
    const workshop = open();
    const first = await workshop.build(
      "FROM MINI\nRUN echo same > /same && cat /proc/sys/kernel/random/uuid > /random\n",
    );
    const options = {
      recipeFile: workshop.recipe,
      home: workshop.home,
      progress: () => {},
      signal: new AbortController().signal,
    };
    const verdict = await verifyBuild(first, options);
    expect(verdict).toMatchObject({ same: false, difference: { layer: "bootstrap", path: "/random" } });
    expect(verdict.text).toContain("layer bootstrap, /random: content ");
    const store = await openStore(join(workshop.home, "store"));
    expect((await store.resolve("thing:latest")).digest).toBe(first.descriptor.digest);
  });

  test("a registry that cannot be reached is said as such, with the reference", async () => {
    const workshop = open();
    await expect(workshop.build("FROM localhost:1/nothing/here:1\nRUN true\n")).rejects.toMatchObject({
      code: "base-unreachable",
      message: expect.stringContaining("docker://localhost:1/nothing/here:1"),
      hint: expect.stringContaining("debian:SUITE"),
    });
    expect(existsSync(`${workshop.recipe}.lock`)).toBe(false);
  });

  test("a bare Dockerfile is named for its directory, also when built from inside it", async () => {
    const workshop = open();
    writeFileSync(join(workshop.directory, "Dockerfile"), `FROM tar:${shared.tar}\n`);
    const before = process.cwd();
    process.chdir(workshop.directory);
    try {
      const { name } = await workshop.build("FROM MINI\n", { recipeFile: "Dockerfile" });
      expect(name).toBe(basename(workshop.directory));
    } finally {
      process.chdir(before);
    }
  });

  test("a missing recipe, a missing context and a recipe without any file are refused before anything is made", async () => {
    const workshop = open();
    await expect(workshop.build("FROM MINI\n", { recipeFile: "/nowhere/x.recipe" })).rejects.toMatchObject({
      code: "recipe-missing",
    });
    await expect(workshop.build("FROM MINI\n", { recipeFile: workshop.directory })).rejects.toMatchObject({
      code: "recipe-missing",
      message: expect.stringContaining("got a directory"),
    });
    writeFileSync(join(workshop.directory, "bytes.recipe"), Buffer.from([0xff, 0xfe, 0x46]));
    await expect(
      workshop.build("FROM MINI\n", { recipeFile: join(workshop.directory, "bytes.recipe") }),
    ).rejects.toMatchObject({ code: "recipe-encoding" });
    await expect(workshop.build("FROM MINI\n", { context: "/nowhere" })).rejects.toMatchObject({
      code: "context-missing",
    });
    await expect(workshop.build("FROM scratch\nENV A=b\n")).rejects.toMatchObject({ code: "empty-image" });
    await expect(workshop.build("FROM MINI\nRUNX true\n")).rejects.toMatchObject({
      message: expect.stringContaining("thing.recipe:2:1"),
    });
  });
});
