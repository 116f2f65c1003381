import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BuildResult } from "../../../builder/build.ts";
import { describeWith } from "../../needs.ts";
import { openShared, openWorkshop, type Shared } from "./workshop.ts";

const RECIPE = `FROM MINI
BOOTSTRAP
RUN echo environment > /environment
COPY package.json /opt/
RUN cat /opt/package.json > /installed
DEPLOY
COPY src/ /opt/src/
RUN ls /opt/src > /list
ENTRYPOINT ["/usr/bin/cat", "/list"]
`;

describeWith({ root: true, programs: ["bwrap", "getfattr", "zstd"] }, "the step cache", () => {
  let shared: Shared;
  beforeAll(async () => {
    shared = await openShared();
  });
  afterAll(() => shared.remove());

  const open = (name: string) => {
    const workshop = openWorkshop(shared, name);
    workshop.write("package.json", "{}\n");
    workshop.write("src/server.mjs", "one\n");
    return workshop;
  };
  const made = (result: BuildResult) => result.steps.filter((step) => !step.cached).map((step) => step.index);
  const reasons = (result: BuildResult) => result.steps.flatMap((step) => step.missed ?? []);

  test("a build with nothing changed makes no step, packs no layer and gives the same image", async () => {
    const workshop = open("same");
    const first = await workshop.build(RECIPE);
    const second = await workshop.build(RECIPE);
    expect(reasons(first)).toEqual(Array(5).fill("never built"));
    expect(made(second)).toEqual([]);
    expect(second.layers.map((layer) => layer.reused)).toEqual([true, true, true]);
    expect(second.descriptor).toEqual(first.descriptor);
  });

  test("an edit makes only the step that reads the file and those after it, and names the file", async () => {
    const workshop = open("edit");
    const first = await workshop.build(RECIPE);
    workshop.write("src/server.mjs", "two\n");
    const second = await workshop.build(RECIPE);
    expect(made(second)).toEqual([4, 5]);
    expect(reasons(second)[0]).toBe("COPY src/: src/server.mjs changed");
    expect(second.layers.slice(0, 2).map(({ digest }) => digest)).toEqual(
      first.layers.slice(0, 2).map(({ digest }) => digest),
    );
    expect(second.layers[2]?.digest).not.toBe(first.layers[2]?.digest);
  });

  test("what a step reads decides, not its time: touch, a new inode and another directory are no miss", async () => {
    const workshop = open("touch");
    await workshop.build(RECIPE);
    const file = join(workshop.directory, "src/server.mjs");
    utimesSync(file, 1, 1);
    expect(made(await workshop.build(RECIPE))).toEqual([]);
    rmSync(file);
    workshop.write("src/server.mjs", "one\n");
    expect(made(await workshop.build(RECIPE))).toEqual([]);
    const elsewhere = openWorkshop(shared, "touch-elsewhere", workshop.home);
    cpSync(workshop.directory, elsewhere.directory, { recursive: true });
    expect(made(await elsewhere.build(RECIPE))).toEqual([]);
  });

  test("a change of the same size within the same second is a miss", async () => {
    const workshop = open("racy");
    const contents = [];
    for (const text of ["aaa\n", "bbb\n", "ccc\n"]) {
      workshop.write("src/server.mjs", text);
      const result = await workshop.build(RECIPE);
      contents.push(result.layers[2]?.digest);
    }
    expect(new Set(contents).size).toBe(3);
  });

  test("a mode, an added file and a removed file are each a miss that is named", async () => {
    const workshop = open("kinds");
    await workshop.build(RECIPE);
    chmodSync(join(workshop.directory, "src/server.mjs"), 0o755);
    expect(reasons(await workshop.build(RECIPE))[0]).toBe("COPY src/: src/server.mjs changed");
    workshop.write("src/more.mjs", "");
    expect(reasons(await workshop.build(RECIPE))[0]).toBe("COPY src/: src/more.mjs added");
    rmSync(join(workshop.directory, "src/more.mjs"));
    workshop.write("src/other.mjs", "");
    expect(reasons(await workshop.build(RECIPE))[0]).toBe("COPY src/: src/more.mjs removed (and 1 more)");
  });

  test("an instruction that changed is named, and each later step says which one moved it", async () => {
    const workshop = open("instruction");
    await workshop.build(RECIPE);
    const result = await workshop.build(RECIPE.replace("echo environment", "echo other"));
    expect(reasons(result)).toEqual([
      "instruction changed",
      "step 1 before it changed",
      "step 2 before it changed",
      "step 3 before it changed",
      "step 4 before it changed",
    ]);
  });

  test("a step put in between is named by itself, and those after it by it", async () => {
    const workshop = open("inserted");
    await workshop.build(RECIPE);
    const result = await workshop.build(RECIPE.replace("COPY package.json", "RUN touch /between\nCOPY package.json"));
    expect(reasons(result)).toEqual([
      "instruction changed",
      "step 2 before it changed",
      "step 3 before it changed",
      "step 4 before it changed",
      "step 5 before it changed",
    ]);
  });

  test("a variable and a comment: the first is a miss for RUN that is named, the second is none", async () => {
    const workshop = open("variable");
    await workshop.build(RECIPE);
    expect(made(await workshop.build(`# a comment\n\n${RECIPE}`))).toEqual([]);
    const result = await workshop.build(RECIPE.replace("BOOTSTRAP", "BOOTSTRAP\nENV COLOUR=blue"));
    expect(reasons(result)[0]).toBe("variable COLOUR changed");
  });

  test("a miss is explained from the last build, also where that took every step from the cache", async () => {
    const workshop = open("last");
    const [one, two] = [RECIPE, RECIPE.replace("BOOTSTRAP", "BOOTSTRAP\nENV COLOUR=blue")];
    await workshop.build(one);
    await workshop.build(two);
    expect(made(await workshop.build(one))).toEqual([]);
    workshop.write("src/server.mjs", "two\n");
    expect(reasons(await workshop.build(one))[0]).toBe("COPY src/: src/server.mjs changed");
    const elsewhere = openWorkshop(shared, "last-elsewhere", workshop.home);
    cpSync(workshop.directory, elsewhere.directory, { recursive: true });
    expect(made(await elsewhere.build(one))).toEqual([]);
    elsewhere.write("package.json", "[]\n");
    expect(reasons(await elsewhere.build(one))[0]).toBe("COPY package.json: package.json changed");
  });

  test("a file that changed in the cache becomes no layer: the tree is named, and without it the build mends itself", async () => {
    const workshop = open("damaged");
    const { layers, steps } = await workshop.build(RECIPE);
    const [layer] = layers.slice(-1);
    const trees = join(workshop.home, "cache/trees");
    const tree = readdirSync(trees).find((id) => existsSync(join(trees, id, "root/opt/src/server.mjs"))) ?? "";
    const blob = join(workshop.home, "store/blobs", (layer?.digest ?? "").replace(":", "/"));
    for (const text of ["ONE\n", "longer\n"]) {
      writeFileSync(join(trees, tree, "root/opt/src/server.mjs"), text);
      rmSync(blob, { force: true });
      await expect(workshop.build(RECIPE)).rejects.toMatchObject({
        code: "cache-damaged",
        message: expect.stringContaining(
          `${join(trees, tree)} is no longer what a step left there: layer entry opt/src`,
        ),
        hint: expect.stringContaining(`rm -r ${join(trees, tree)}`),
      });
      expect(existsSync(blob)).toBe(false);
    }
    rmSync(join(trees, tree), { recursive: true });
    const mended = await workshop.build(RECIPE);
    expect(made(mended)).toEqual([4]);
    expect(mended.layers.slice(-1)).toMatchObject([{ digest: layer?.digest }]);
    expect(steps).toHaveLength(5);
  });

  test("a record that cannot be read is a miss", async () => {
    const workshop = open("empty-record");
    const { descriptor } = await workshop.build(RECIPE);
    for (const kind of ["steps", "packs", "facts", "reads", "last", "hashes"]) {
      const directory = join(workshop.home, "cache", kind);
      for (const name of readdirSync(directory)) writeFileSync(join(directory, name), "");
    }
    expect((await workshop.build(RECIPE)).descriptor).toEqual(descriptor);
  });

  test("a step whose result is the same content as before keeps the cache of the steps after it", async () => {
    const workshop = open("cutoff");
    await workshop.build(RECIPE);
    expect(made(await workshop.build(RECIPE.replace("echo environment", "printf 'environment\\n'")))).toEqual([1]);
  });

  test("COPY --from is keyed by what it takes: a change elsewhere in BOOTSTRAP keeps it", async () => {
    const workshop = open("from");
    const recipe = (other: string) => `FROM MINI
RUN mkdir /taken && echo constant > /taken/file
RUN echo ${other} > /other
DEPLOY FROM scratch
COPY --from=bootstrap /taken /taken
COPY src/ /src/
`;
    await workshop.build(recipe("one"));
    expect(made(await workshop.build(recipe("two")))).toEqual([2]);
    const third = await workshop.build(recipe("two").replace("constant", "moved"));
    expect(reasons(third)[2]).toBe("COPY --from=bootstrap /taken/: taken/file changed");
  });

  test("DEPLOY FROM scratch: an edit ships one small layer, what comes from BOOTSTRAP keeps its own", async () => {
    const workshop = open("scratch");
    const recipe = "FROM MINI\nDEPLOY FROM scratch\nCOPY --from=bootstrap /usr/bin/cat /cat\nCOPY src/ /src/\n";
    const first = await workshop.build(recipe);
    expect(first.layers.map(({ section }) => section)).toEqual(["bootstrap", "deploy"]);
    workshop.write("src/server.mjs", "two\n");
    const second = await workshop.build(recipe);
    expect(second.layers.map(({ reused }) => reused)).toEqual([true, false]);
    expect(second.layers[1]?.size).toBeLessThan(1000);
  });

  test("a commit's time moves DEPLOY's files, never a BOOTSTRAP layer", async () => {
    const workshop = open("epoch");
    const first = await workshop.build(RECIPE, { epoch: 1_700_000_000 });
    const second = await workshop.build(RECIPE, { epoch: 1_700_000_100 });
    expect(made(second)).toEqual([4, 5]);
    expect(reasons(second)[0]).toBe("SOURCE_DATE_EPOCH changed: 1700000000 -> 1700000100");
    expect(second.layers.slice(0, 2)).toEqual(first.layers.slice(0, 2).map((layer) => ({ ...layer, reused: true })));
    expect(workshop.listLayers(second)[2]?.join("\n")).toContain("2023-11-14 22:15:00 opt/src/server.mjs");
  });

  test("a damaged or missing result is made again, never used", async () => {
    const workshop = open("lost");
    const first = await workshop.build(RECIPE);
    rmSync(join(workshop.home, "cache/trees"), { recursive: true });
    rmSync(join(workshop.home, "store"), { recursive: true });
    const again = await workshop.build(RECIPE);
    expect(again.descriptor).toEqual(first.descriptor);
    expect(reasons(again)[0]).toBe("its result is no longer in the cache");
  });

  test("two builds of one recipe at the same time give one image", async () => {
    const workshop = open("twins");
    const [one, two] = await Promise.all([workshop.build(RECIPE), workshop.build(RECIPE)]);
    expect(one.descriptor).toEqual(two.descriptor);
  });

  test("two clean builds in different directories and under another umask give one digest", async () => {
    const one = open("clean-one");
    const first = await one.build(RECIPE, { epoch: 1_700_000_000 });
    const two = open("clean/two/deeper");
    const umask = process.umask(0o077);
    try {
      writeFileSync(join(two.directory, "thing.recipe"), "");
      const second = await two.build(RECIPE, { epoch: 1_700_000_000, home: join(shared.directory, "home-clean-two") });
      expect(second.descriptor).toEqual(first.descriptor);
    } finally {
      process.umask(umask);
    }
    expect(readFileSync(`${one.recipe}.lock`, "utf8")).toBe(readFileSync(`${two.recipe}.lock`, "utf8"));
  });
});
