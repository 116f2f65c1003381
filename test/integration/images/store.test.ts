import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { loadImage } from "../../../images/image.ts";
import { openStore, type Store } from "../../../images/store.ts";
import { type Digest, digestFromHex, hexOf } from "../../../manifests/digest.ts";
import { type Descriptor, MEDIA_TYPES } from "../../../manifests/image.ts";
import { describeWith } from "../../needs.ts";
import { startProgram } from "../../start-program.ts";
import { withMount } from "../../with-mount.ts";

const LARGE = 20 * 1024 * 1024;

let parent: string;
let store: Store;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "store-"));
});

beforeEach(async () => {
  store = await openStore(await mkdtemp(join(parent, "s-")));
});

afterAll(async () => {
  await rm(parent, { recursive: true, force: true });
});

function digestOf(bytes: Uint8Array): Digest {
  return digestFromHex(createHash("sha256").update(bytes).digest("hex"));
}

function descriptorOf(bytes: Buffer): Descriptor {
  return { mediaType: MEDIA_TYPES.manifest, digest: digestOf(bytes), size: bytes.length };
}

async function* pieces(bytes: Buffer, size = 1_000_000): AsyncIterable<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

const filesIn = (of: Store) => readdir(join(of.directory, "blobs", "sha256"));

async function flipByte(path: string, position: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, position);
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, position);
  } finally {
    await file.close();
  }
}

describe("openStore", () => {
  test("makes an OCI image layout", async () => {
    expect(JSON.parse(await readFile(join(store.directory, "oci-layout"), "utf8"))).toEqual({
      imageLayoutVersion: "1.0.0",
    });
    expect(await store.tags()).toEqual([]);
  });

  test("clears what a killed writer left long ago, and nothing that may still be written", async () => {
    const blobs = join(store.directory, "blobs", "sha256");
    await writeFile(join(blobs, ".1-old.tmp"), "x");
    await writeFile(join(blobs, ".2-new.tmp"), "x");
    await utimes(join(blobs, ".1-old.tmp"), 0, 0);
    await openStore(store.directory);
    expect(await filesIn(store)).toEqual([".2-new.tmp"]);
  });
});

describe("a blob", () => {
  test.each([0, 5, LARGE])("of %i bytes is read and streamed as it was written", async (size) => {
    const bytes = randomBytes(size);
    const written = await store.write(pieces(bytes));
    expect(written).toEqual({ digest: digestOf(bytes), size });
    expect(await store.has(written.digest)).toBe(true);
    expect((await store.read(written.digest, LARGE)).equals(bytes)).toBe(true);
    expect((await collect(store.stream(written.digest))).equals(bytes)).toBe(true);
  });

  test.each([1000, LARGE])(
    "of %i bytes with one byte flipped is refused, by name and by both digests",
    async (size) => {
      const bytes = randomBytes(size);
      const { digest } = await store.write(bytes);
      await flipByte(store.pathOf(digest), size - 10);
      const got = digestOf(await readFile(store.pathOf(digest)));
      const message = `${store.pathOf(digest)}: expected blob ${digest}, got ${got}`;
      await expect(store.read(digest, LARGE)).rejects.toMatchObject({ code: "blob-corrupt", message });
      const seen: Buffer[] = [];
      const stream = async () => {
        for await (const chunk of store.stream(digest)) seen.push(chunk);
      };
      await expect(stream()).rejects.toMatchObject({ code: "blob-corrupt", message });
      expect(seen).toEqual([]);
      const other = await openStore(await mkdtemp(join(parent, "other-")));
      await expect(store.copyTo(digest, other)).rejects.toMatchObject({ code: "blob-corrupt", message });
      expect(await filesIn(other)).toEqual([]);
    },
  );

  test("that is written again mends a damaged one", async () => {
    const bytes = randomBytes(1000);
    const { digest } = await store.write(bytes);
    await flipByte(store.pathOf(digest), 0);
    await store.write(bytes);
    expect((await store.read(digest, 1000)).equals(bytes)).toBe(true);
  });

  test("that is not what was expected leaves no file", async () => {
    const bytes = Buffer.from("content");
    const digest = digestOf(Buffer.from("other"));
    await expect(store.write(bytes, { digest })).rejects.toMatchObject({
      code: "blob-corrupt",
      message: `blob: expected ${digest}, got ${digestOf(bytes)}`,
    });
    await expect(store.write(bytes, { size: 6 })).rejects.toMatchObject({ code: "blob-size" });
    await expect(store.write(bytes, { size: 8 })).rejects.toMatchObject({ code: "blob-size" });
    const failing = async function* () {
      yield bytes;
      throw new Error("the source failed");
    };
    await expect(store.write(failing())).rejects.toThrow("the source failed");
    expect(await filesIn(store)).toEqual([]);
  });

  test("that is missing or too large is refused before a byte is read", async () => {
    const { digest } = await store.write(Buffer.from("content"));
    await expect(store.read(digest, 6)).rejects.toMatchObject({ code: "blob-size" });
    const missing = digestOf(Buffer.from("missing"));
    await expect(store.read(missing, 6)).rejects.toMatchObject({ code: "blob-missing" });
    await expect(collect(store.stream(missing))).rejects.toMatchObject({ code: "blob-missing" });
    expect(await store.has(missing)).toBe(false);
  });

  test("is copied once, and again where the other store's is cut short or damaged", async () => {
    const bytes = randomBytes(LARGE);
    const { digest } = await store.write(bytes);
    const other = await openStore(await mkdtemp(join(parent, "other-")));
    await store.copyTo(digest, other);
    const { ino } = await stat(other.pathOf(digest));
    await store.copyTo(digest, other);
    expect((await stat(other.pathOf(digest))).ino).toBe(ino);
    for (const damage of [
      () => writeFile(other.pathOf(digest), "short"),
      () => flipByte(other.pathOf(digest), LARGE - 10),
    ]) {
      await damage();
      await store.copyTo(digest, other);
      expect((await other.read(digest, LARGE)).equals(bytes)).toBe(true);
    }
    expect(await filesIn(other)).toHaveLength(1);
  });
});

describe("a writer that is killed", () => {
  test("leaves a store in which every blob is right and the next write succeeds", async () => {
    const program = `
      const { openStore } = await import(process.argv[1]);
      const store = await openStore(process.argv[2]);
      const chunk = Buffer.alloc(1 << 20, 7);
      await store.write(async function* () {
        yield chunk;
        process.stdout.write("writing\\n");
        for (;;) { yield chunk; await new Promise((resolve) => setTimeout(resolve, 5)); }
      }());`;
    const writer = startProgram(process.execPath, [
      "--input-type=module",
      "-e",
      program,
      join(import.meta.dirname, "../../../images/store.ts"),
      store.directory,
    ]);
    await writer.output("writing");
    await writer.kill("SIGKILL");
    expect((await filesIn(store)).filter((name) => !name.startsWith("."))).toEqual([]);
    const again = await openStore(store.directory);
    const { digest } = await again.write(Buffer.from("next"));
    expect((await again.read(digest, 10)).toString()).toBe("next");
    expect(await again.tags()).toEqual([]);
  });
});

describe("names", () => {
  const first = descriptorOf(Buffer.from("first"));
  const second = descriptorOf(Buffer.from("second"));

  test("move from one image to another and go away", async () => {
    await store.tag("shop:latest", first);
    await store.tag("shop:v1", first);
    await store.tag("shop:latest", second);
    expect((await store.tags()).map(({ name, descriptor }) => [name, descriptor.digest])).toEqual([
      ["shop:latest", second.digest],
      ["shop:v1", first.digest],
    ]);
    await store.untag("shop:latest");
    await store.untag("not there");
    expect((await store.tags()).map(({ name }) => name)).toEqual(["shop:v1"]);
  });

  test("mean an image, as do digests and unique starts of them", async () => {
    await store.tag("shop:latest", first);
    await store.tag("shop:v1", second);
    const hex = first.digest.slice("sha256:".length);
    for (const reference of ["shop", "shop:latest", first.digest, hex, hex.slice(0, 6), first.digest.slice(0, 20)]) {
      expect((await store.resolve(reference)).digest).toBe(first.digest);
    }
    for (const reference of ["shop:v2", "sho", hex.slice(0, 5), digestOf(Buffer.from("unknown"))]) {
      await expect(store.resolve(reference)).rejects.toMatchObject({ code: "reference-unknown" });
    }
  });

  test("are not needed: a start of a digest means the one manifest among the blobs that begins so", async () => {
    const document = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.manifest,
      config: { ...first, mediaType: MEDIA_TYPES.config },
      layers: [],
    };
    const { digest } = await store.write(Buffer.from(JSON.stringify(document)));
    const { digest: layer } = await store.write(Buffer.from("a layer"));
    for (const length of [6, 12, 64]) expect((await store.resolve(hexOf(digest).slice(0, length))).digest).toBe(digest);
    await expect(store.resolve(hexOf(layer).slice(0, 12))).rejects.toMatchObject({ code: "reference-unknown" });
    const rival = digestFromHex(hexOf(digest).slice(0, 12).padEnd(64, "0"));
    await store.tag("rival:latest", { ...first, digest: rival });
    await expect(store.resolve(hexOf(digest).slice(0, 12))).rejects.toMatchObject({ code: "reference-ambiguous" });
  });

  test("are not guessed from a start that several digests share", async () => {
    const shared = "ab".repeat(20);
    for (const end of ["0", "1"]) {
      await store.tag(`x:${end}`, { ...first, digest: digestFromHex(shared + end.repeat(24)) });
    }
    await expect(store.resolve(shared)).rejects.toMatchObject({ code: "reference-ambiguous" });
  });

  test.each(["", "-x", "a b", "a/", "sha256:abc", "../x"])("%j is none", async (name) => {
    await expect(store.tag(name, first)).rejects.toThrow("expected an image name such as shop:latest");
  });

  test("given by many processes at once are all kept", async () => {
    const program = `
      const { openStore } = await import(process.argv[1]);
      const store = await openStore(process.argv[2]);
      for (let index = 0; index < 5; index++) await store.tag("p" + process.argv[3] + ":" + index, JSON.parse(process.argv[4]));`;
    const source = join(import.meta.dirname, "../../../images/store.ts");
    const taggers = ["1", "2", "3", "4"].map((name) =>
      run([
        process.execPath,
        "--input-type=module",
        "-e",
        program,
        source,
        store.directory,
        name,
        JSON.stringify(first),
      ]),
    );
    await Promise.all(taggers);
    expect(await store.tags()).toHaveLength(20);
  });

  test("of other tools keep their own fields", async () => {
    const foreign = { ...second, platform: { os: "linux", architecture: "amd64" } };
    const path = join(store.directory, "index.json");
    await writeFile(path, JSON.stringify({ schemaVersion: 2, manifests: [foreign], annotations: { a: "b" } }));
    await store.tag("shop:latest", first);
    const index = JSON.parse(await readFile(path, "utf8"));
    expect(index.annotations).toEqual({ a: "b" });
    expect(index.manifests[0]).toEqual(foreign);
  });

  test("in an index that is damaged are refused with the file's name", async () => {
    await writeFile(join(store.directory, "index.json"), "{");
    await expect(store.tags()).rejects.toThrow(join(store.directory, "index.json"));
  });
});

describe("loadImage", () => {
  async function writeImage(diffIds: Digest[], layers: Descriptor[]): Promise<Descriptor> {
    const config = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: diffIds } };
    const blob = await store.write(Buffer.from(JSON.stringify(config)));
    const manifest = Buffer.from(
      JSON.stringify({ schemaVersion: 2, config: { mediaType: MEDIA_TYPES.config, ...blob }, layers }),
    );
    await store.write(manifest);
    return descriptorOf(manifest);
  }

  test("reads the documents that a name means", async () => {
    const descriptor = await writeImage([], []);
    await store.tag("shop:latest", descriptor);
    const image = await loadImage(store, "shop");
    expect(image).toMatchObject({
      descriptor: { digest: descriptor.digest },
      manifest: { layers: [] },
      config: { os: "linux" },
    });
    expect(image).not.toHaveProperty("app");
  });

  test("reads an image by its digest although nothing names it", async () => {
    const descriptor = await writeImage([], []);
    expect((await loadImage(store, descriptor.digest)).descriptor).toEqual(descriptor);
  });

  test("refuses layers without diff_ids", async () => {
    const layer = { ...descriptorOf(Buffer.from("layer")), mediaType: MEDIA_TYPES.layerZstd };
    const descriptor = await writeImage([], [layer]);
    await expect(loadImage(store, descriptor.digest)).rejects.toMatchObject({ code: "image-invalid" });
  });
});

describeWith({ root: true }, "a full disk", () => {
  test("is said so and leaves nothing half written", async () => {
    await mkdir(join(parent, "small"), { recursive: true });
    await withMount(["-t", "tmpfs", "-o", "size=4m"], "tmpfs", join(parent, "small"), async (directory) => {
      const small = await openStore(directory);
      await expect(small.write(pieces(Buffer.alloc(LARGE)))).rejects.toMatchObject({ code: "store-full" });
      expect(await filesIn(small)).toEqual([]);
    });
  });
});
