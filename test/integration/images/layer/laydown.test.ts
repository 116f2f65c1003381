import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { TEMPORARY_NAME } from "../../../../effects/durable.ts";
import { withTemporaryDirectory } from "../../../../effects/temporary.ts";
import { PROGRAMS } from "../../../../hostd/system/programs.ts";
import { startHasher } from "../../../../images/layer/hasher.ts";
import { layDown } from "../../../../images/layer/laydown.ts";
import { verifyErofs } from "../../../../images/verity.ts";
import { LAYER_ANNOTATIONS, verityOf } from "../../../../manifests/image.ts";
import { readErofs } from "../../../erofs-reader.ts";
import { describeWith } from "../../../needs.ts";
import { annotate, makeLayer, packTree, type TestLayer } from "../../../test-layer.ts";

const KILLS = 12;

describeWith({ programs: ["tar", "zstd"] }, "layDown", () => {
  it("lays a layer down as the image and tree that the builder computed, the same bytes whoever hashes them", async () => {
    await withLayer(async (work, { blob, layer, result }) => {
      const [first, second] = [join(work, "first"), join(work, "second")];
      await layDown(blob, layer, first);
      await layDown(blob, layer, second, { hasher: startHasher(PROGRAMS.hashBlocks) });
      const bytes = readFileSync(first);
      expect(bytes.equals(readFileSync(second))).toBe(true);
      expect(bytes.subarray(result.size).equals(Buffer.concat(result.tree))).toBe(true);
      expect(readErofs(bytes).paths.get("file-3")?.content.toString()).toBe("3".repeat(3000));
      await verifyErofs(first, verityOf(layer));
    }, 12);
  });

  const other = "1".repeat(64);
  it.each<[string, (layer: TestLayer) => Partial<TestLayer>, string, (layer: TestLayer) => string]>([
    [
      "another verity root",
      ({ layer }) => ({ layer: annotate(layer, LAYER_ANNOTATIONS.verityRoot, other) }),
      "verity-mismatch",
      ({ result }) => `expected verity root ${other}, got ${result.root}`,
    ],
    [
      "a smaller image",
      ({ layer }) => ({ layer: annotate(layer, LAYER_ANNOTATIONS.erofsSize, "4096") }),
      "verity-mismatch",
      () => "expected an EROFS image of 4096 bytes, got more than ",
    ],
    [
      "a larger image",
      ({ layer }) => ({ layer: annotate(layer, LAYER_ANNOTATIONS.erofsSize, "4096000") }),
      "verity-mismatch",
      ({ result }) => `expected an EROFS image of 4096000 bytes, got ${result.size}`,
    ],
    [
      "another format",
      ({ layer }) => ({ layer: annotate(layer, LAYER_ANNOTATIONS.erofsFormat, "2") }),
      "layer-format",
      () => "expected EROFS format 1, got 2",
    ],
  ])("refuses a layer signed with %s, names it and leaves nothing", async (_, change, code, message) => {
    await withLayer(async (work, made) => {
      const { blob, layer } = { ...made, ...change(made) };
      const before = readdirSync(work);
      const failure = await layDown(blob, layer, join(work, "layer")).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code, outcome: "refused" });
      expect((failure as Error).message).toContain(`layer ${layer.digest}: ${message(made)}`);
      expect(readdirSync(work)).toEqual(before);
    });
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ["cut short", (bytes) => bytes.subarray(0, bytes.length - 100)],
    ["empty", () => Buffer.alloc(0)],
    ["not compressed", () => Buffer.from("this is not zstd")],
  ])("a blob that is %s fails, names the layer, leaves nothing and keeps what was there", async (_, damage) => {
    await withLayer(async (work, { blob, layer }) => {
      const destination = join(work, "layer");
      writeFileSync(destination, "the layer that is there");
      writeFileSync(blob, damage(readFileSync(blob)));
      const before = readdirSync(work);
      await expect(layDown(blob, layer, destination)).rejects.toThrow(`layer ${layer.digest}: `);
      expect(readdirSync(work)).toEqual(before);
      expect(readFileSync(destination, "utf8")).toBe("the layer that is there");
    });
  });

  it("says where it could not write", async () => {
    await withLayer(async (work, { blob, layer }) => {
      const destination = join(work, "missing", "layer");
      await expect(layDown(blob, layer, destination)).rejects.toMatchObject({
        code: "layer-write",
        message: expect.stringContaining(destination),
      });
    });
  });

  it("killed at any moment leaves no destination, or the whole one", async () => {
    await withLayer(async (work, made) => {
      const took = await timeOf(() => layDown(made.blob, made.layer, join(work, "measured")));
      let killed = 0;
      for (let round = 0; round < KILLS; round++) {
        const destination = join(work, `layer-${round}`);
        if (await killDuring(made, destination, (took * 1.5 * round) / KILLS)) killed++;
        if (existsSync(destination)) await verifyErofs(destination, verityOf(made.layer));
      }
      const others = readdirSync(work).filter((name) => !/^(layer(-\d+)?|measured|layer\.tar\.zst)$/.test(name));
      expect(others.every((name) => TEMPORARY_NAME.test(name))).toBe(true);
      expect(killed).toBeGreaterThan(0);
    }, 40);
  });
});

async function withLayer(use: (work: string, layer: TestLayer) => Promise<void>, megabytes = 1): Promise<void> {
  await withTemporaryDirectory(tmpdir(), async (work) => {
    const tar = join(work, "layer.tar");
    await withTemporaryDirectory(tmpdir(), async (tree) => {
      for (let index = 0; index < 10; index++)
        writeFileSync(join(tree, `file-${index}`), String(index).repeat(index * 1000));
      writeFileSync(join(tree, "big"), Buffer.alloc(megabytes * 1024 * 1024, "ostler"));
      await packTree(tree, tar);
    });
    await use(work, await makeLayer(tar));
  });
}

async function timeOf(act: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}

/** Runs layDown in a process of its own and kills that after so many milliseconds; true if it was still at work. */
async function killDuring({ blob, layer }: TestLayer, destination: string, after: number): Promise<boolean> {
  const program = fileURLToPath(new URL("../../../fixtures/laydown.ts", import.meta.url));
  const child = spawn(process.execPath, [program, JSON.stringify({ blob, layer, destination })], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  await setTimeout(after);
  child.kill("SIGKILL");
  const [, signal] = await ended;
  return signal === "SIGKILL";
}
