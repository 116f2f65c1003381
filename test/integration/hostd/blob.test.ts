import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSource, type Source } from "../../../effects/source.ts";
import { withTemporaryDirectory } from "../../../effects/temporary.ts";
import { blobPath, fetchLayer, readBlob } from "../../../hostd/stage/blob.ts";
import { type Descriptor, MEDIA_TYPES } from "../../../manifests/image.ts";

const bytes = randomBytes(3 * 1024 * 1024);
const hex = createHash("sha256").update(bytes).digest("hex");
const layer: Descriptor = { mediaType: MEDIA_TYPES.layerZstd, digest: `sha256:${hex}`, size: bytes.length };

/** A repository directory with the blob, and a place for parts. */
async function withRepository(
  use: (place: { source: Source; blob: string; parts: string; part: string }) => Promise<void>,
) {
  await withTemporaryDirectory(tmpdir(), async (directory) => {
    const repository = join(directory, "repository");
    const blob = join(repository, blobPath(layer.digest));
    const parts = join(directory, "parts");
    mkdirSync(join(blob, ".."), { recursive: true });
    mkdirSync(parts);
    writeFileSync(blob, bytes);
    await use({ source: openSource(repository), blob, parts, part: join(parts, hex) });
  });
}

function fetchInto(source: Source, parts: string, signal = new AbortController().signal, onBytes = (_: number) => {}) {
  const sleep = () => Promise.resolve();
  return fetchLayer({ source, layer, parts, signal, pace: () => Promise.resolve(), sleep, onBytes });
}

describe("fetchLayer", () => {
  test.each(["before its answer", "in the middle of a blob"])(
    "an abort ends it at once where a server stands still %s",
    (where) =>
      withRepository(async ({ parts }) => {
        const server = createServer((_, response) => {
          if (where === "before its answer") return;
          response.writeHead(200, { "content-length": bytes.length });
          response.write(bytes.subarray(0, 1_000));
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const { port } = server.address() as { port: number };
        const abort = new AbortController();
        setTimeout(() => abort.abort(new Error("aborted by ann")), 200);
        try {
          const fetched = fetchInto(openSource(`http://127.0.0.1:${port}`), parts, abort.signal);
          await expect(fetched).rejects.toThrow("aborted by ann");
        } finally {
          server.closeAllConnections();
          server.close();
        }
      }),
    5_000,
  );

  test("goes on where a partial file ends, asking for no byte twice", () =>
    withRepository(async ({ source, parts, part }) => {
      writeFileSync(part, bytes.subarray(0, 2_000_000));
      const received: number[] = [];
      expect(await fetchInto(source, parts, undefined, (count) => received.push(count))).toBe(part);
      expect(readFileSync(part).equals(bytes)).toBe(true);
      expect(received[0]).toBeGreaterThan(2_000_000);
    }));

  test.each([
    ["a partial file with a wrong byte", Buffer.concat([Buffer.from("x"), bytes.subarray(1, 1_000)])],
    ["a file longer than the blob", Buffer.concat([bytes, bytes])],
    ["a whole file with a wrong byte", Buffer.concat([Buffer.from("x"), bytes.subarray(1)])],
    ["an empty file", Buffer.alloc(0)],
  ])("%s is thrown away and fetched from its start", (_title, partial) =>
    withRepository(async ({ source, parts, part }) => {
      writeFileSync(part, partial);
      await fetchInto(source, parts);
      expect(readFileSync(part).equals(bytes)).toBe(true);
    }),
  );

  test("a whole partial file is taken without asking the repository", () =>
    withRepository(async ({ parts, part }) => {
      writeFileSync(part, bytes);
      expect(await fetchInto(openSource("/nowhere"), parts)).toBe(part);
    }));

  test.each([
    ["one byte changed", Buffer.concat([Buffer.from("x"), bytes.subarray(1)])],
    ["bytes missing at the end", bytes.subarray(0, 1_000)],
    ["bytes too many", Buffer.concat([bytes, bytes])],
  ])("a repository's blob with %s is refused by name, and nothing of it is parsed", (_title, wrong) =>
    withRepository(async ({ source, blob, parts }) => {
      writeFileSync(blob, wrong);
      await expect(fetchInto(source, parts)).rejects.toMatchObject({
        code: "blob-digest",
        message: expect.stringContaining(hex),
      });
      expect(readdirSync(parts).filter((name) => readFileSync(join(parts, name)).length > bytes.length)).toEqual([]);
    }),
  );

  test("a blob that is not there is named", () =>
    withRepository(async ({ parts }) => {
      await expect(fetchInto(openSource("/nowhere"), parts)).rejects.toMatchObject({ code: "blob-missing" });
    }));

  test("a transfer that is cut again and again goes on by range, asking for no byte twice", () =>
    withRepository(async ({ parts, part }) => {
      await withCuttingServer(1_000_000, async (source, ranges) => {
        await fetchInto(source, parts);
        expect(readFileSync(part).equals(bytes)).toBe(true);
        expect(ranges.length).toBeGreaterThan(3);
        const starts = ranges.map((range) => Number(/bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0));
        expect(starts).toEqual([...starts].sort((a, b) => a - b));
        expect(new Set(starts).size).toBe(starts.length);
      });
    }));

  test("a server that only ever cuts is given up after a few tries, and what came is kept for the next time", () =>
    withRepository(async ({ source: whole, parts, part }) => {
      writeFileSync(part, bytes.subarray(0, 1_234));
      await withCuttingServer(0, async (source, ranges) => {
        await expect(fetchInto(source, parts)).rejects.toMatchObject({
          code: "blob-cut",
          message: `${source.location}/${blobPath(layer.digest)}: terminated: other side closed: expected ${bytes.length} bytes, got 1234`,
        });
        expect(ranges).toEqual(Array(4).fill("bytes=1234-"));
      });
      expect(readFileSync(part).equals(bytes.subarray(0, 1_234))).toBe(true);
      await fetchInto(whole, parts);
      expect(readFileSync(part).equals(bytes)).toBe(true);
    }));
});

/** A server that cuts every answer after so many bytes, and the ranges it was asked for. */
async function withCuttingServer(
  after: number,
  use: (source: Source, ranges: (string | undefined)[]) => Promise<void>,
) {
  const ranges: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    ranges.push(request.headers.range);
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(from > 0 ? 206 : 200, { "content-length": bytes.length - from });
    response.flushHeaders();
    const piece = bytes.subarray(from, from + after);
    response.write(piece.length > 0 ? piece : "", () => setTimeout(() => response.destroy(), 30));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  try {
    await use(openSource(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`), ranges);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe("readBlob", () => {
  test("gives nobody bytes that are not what their digest says", () =>
    withRepository(async ({ source, blob }) => {
      expect((await readBlob(source, layer, bytes.length)).equals(bytes)).toBe(true);
      await expect(readBlob(source, layer, 1_000)).rejects.toMatchObject({ code: "source-too-large" });
      writeFileSync(blob, "other");
      await expect(readBlob(source, layer, bytes.length)).rejects.toMatchObject({ code: "blob-digest" });
    }));
});
