import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { openSource, type Source } from "../../../effects/source.ts";
import { withTemporaryDirectory } from "../../../effects/temporary.ts";
import { systemClock } from "../../../hostd/clock.ts";
import { type Journal, openJournal } from "../../../hostd/journal/journal.ts";
import { removeUnwantedParts } from "../../../hostd/retention/prune.ts";
import { blobPath } from "../../../hostd/stage/blob.ts";
import { fetchBlob, layBlob } from "../../../hostd/stage/bring.ts";
import { createTurnsByKey } from "../../../hostd/stage/turns.ts";
import { openLayers } from "../../../hostd/system/layers.ts";
import { pathsOf } from "../../../hostd/system/paths.ts";
import { BOOT_ANNOTATION, bootExample } from "../../../manifests/boot.ts";
import { digestFromHex, hexOf } from "../../../manifests/digest.ts";
import { MEDIA_TYPES, verityOf } from "../../../manifests/image.ts";
import { withRig } from "../../hostd/rig.ts";
import { serveDirectory } from "../../hostd/webserver.ts";
import { makeLayer, packTree } from "../../test-layer.ts";

const never = new AbortController().signal;

/** A repository with one layer, as a directory and served, and what brings layers from it to a state directory. */
async function withRepository(use: (place: Awaited<ReturnType<typeof openPlace>>) => Promise<void>) {
  await withTemporaryDirectory(tmpdir(), async (directory) => {
    const server = await serveDirectory(join(directory, "repository"));
    try {
      await use(await openPlace(directory, server.url));
    } finally {
      await server.close();
    }
  });
}

async function openPlace(directory: string, url: string) {
  const [tree, tar, repository, state] = ["tree", "layer.tar", "repository", "state"].map((name) =>
    join(directory, name),
  ) as [string, string, string, string];
  mkdirSync(tree);
  for (let n = 0; n < 8; n++) writeFileSync(join(tree, String(n)), Buffer.alloc(500_000 + n, `${n} `));
  await packTree(tree, tar);
  const { blob, layer } = await makeLayer(tar);
  const stored = join(repository, blobPath(layer.digest));
  mkdirSync(dirname(stored), { recursive: true });
  copyFileSync(blob, stored);
  mkdirSync(join(state, "parts"), { recursive: true });
  const node = await openLayers(pathsOf({ stateDirectory: state, runDirectory: join(directory, "run") }));
  const requests: string[] = [];
  const bringer = (location: string, rate?: number) => ({
    source: counting(openSource(location), requests),
    node,
    clock: systemClock,
    care: { laidDown: () => {} },
    settings: { rate },
    pace: () => Promise.resolve(),
    layerTurns: createTurnsByKey(),
    stateDirectory: state,
  });
  const parts = () => readdirSync(join(state, "parts"));
  const part = join(state, "parts", hexOf(layer.digest));
  return { coming: { layer, signal: never }, repository, url, stored, bringer, requests, parts, part, node };
}

function counting(source: Source, requests: string[]): Source {
  return {
    ...source,
    stream(path, offset, signal) {
      requests.push(`${path.slice(-8)} from ${offset}`);
      return source.stream(path, offset, signal);
    },
  };
}

test("a blob of a directory is verified and laid down where it is: nothing is copied, and it is not touched", () =>
  withRepository(async ({ bringer, coming, repository, stored, requests, parts, node }) => {
    const engine = bringer(repository);
    const before = statSync(stored);
    await fetchBlob(engine, coming);
    expect(parts()).toEqual([]);
    await layBlob(engine, coming);
    await node.scrubLayer(verityOf(coming.layer));
    expect(requests).toEqual([]);
    expect(parts()).toEqual([]);
    expect(statSync(stored)).toMatchObject({ ino: before.ino, size: before.size, mtimeMs: before.mtimeMs });
  }));

test("a damaged blob of a directory is refused, and nothing is laid down", () =>
  withRepository(async ({ bringer, coming, repository, stored, node }) => {
    const bytes = readFileSync(stored);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(stored, bytes);
    const engine = bringer(repository);
    await fetchBlob(engine, coming);
    await expect(layBlob(engine, coming)).rejects.toMatchObject({ code: "blob-digest" });
    expect(await node.layers()).toEqual([]);
  }));

test.each(["a server", "a directory, at a rate"])(
  "of %s a blob is fetched, and forgotten once it is laid down",
  (from) =>
    withRepository(async ({ bringer, coming, repository, url, parts, part, node }) => {
      const engine = from === "a server" ? bringer(url) : bringer(repository, 1e12);
      await fetchBlob(engine, coming);
      expect(statSync(part).size).toBe(coming.layer.size);
      await layBlob(engine, coming);
      await node.scrubLayer(verityOf(coming.layer));
      expect(parts()).toEqual([]);
    }),
);

test("two that need one layer at once fetch it once, and neither disturbs the other", () =>
  withRepository(async ({ bringer, coming, url, requests, parts, node }) => {
    const engine = bringer(url);
    const one = async () => {
      await fetchBlob(engine, coming);
      await layBlob(engine, coming);
    };
    await Promise.all([one(), one(), one()]);
    expect(requests.length).toBe(1);
    await node.scrubLayer(verityOf(coming.layer));
    expect(parts()).toEqual([]);
  }));

test.each<[string, (part: string) => void]>([
  ["is gone", (part) => truncateSync(part, 0)],
  ["is there in part", (part) => truncateSync(part, 1_000)],
  ["is other bytes", (part) => writeFileSync(part, Buffer.alloc(statSync(part).size))],
])("a fetched blob that %s after a power cut is fetched again", (_, damage) =>
  withRepository(async ({ bringer, coming, url, parts, part, node }) => {
    const engine = bringer(url);
    await fetchBlob(engine, coming);
    damage(part);
    await layBlob(engine, coming);
    await node.scrubLayer(verityOf(coming.layer));
    expect(parts()).toEqual([]);
  }),
);

test("a blob is kept for the next start when hostd ends while it is laid down", () =>
  withRepository(async ({ bringer, coming, url, parts, node }) => {
    const engine = bringer(url);
    await fetchBlob(engine, coming);
    const closing = new AbortController();
    const stopping = { ...engine, node: { ...node, layDownLayer: () => Promise.reject(closing.signal.reason) } };
    closing.abort(new Error("hostd ends"));
    await expect(layBlob({ ...stopping }, { ...coming, signal: closing.signal })).rejects.toThrow("hostd ends");
    expect(parts().length).toBe(1);
  }));

/** A staging under way of a host image whose blobs are named by these digits. */
function beginStaging(journal: Journal): string[] {
  const config = { mediaType: MEDIA_TYPES.config, digest: digestFromHex("c".repeat(64)), size: 1 };
  const part = (digit: string) => ({ digest: digestFromHex(digit.repeat(64)), size: 1 });
  const boot = { ...bootExample, recovery: { uki: part("7"), parts: [part("8")] }, loader: part("9") };
  const annotations = { [BOOT_ANNOTATION]: JSON.stringify(boot) };
  const manifest = JSON.stringify({ schemaVersion: 2, config, layers: [], annotations });
  const about = { image: config.digest, sequence: 1, version: "1.0.0", declared: {}, config: "" };
  const plan = { stage: { channel: "production", found: { ...about, manifest } } };
  journal.operations.begin({ requestId: "1", kind: "stage", app: "host", caller: "test", plan });
  return ["2", "3", "8", "9"].map((digit) => digit.repeat(64));
}

test("what a staging under way fetched is kept, all parts of a host's image too, and nothing else", () =>
  withTemporaryDirectory(tmpdir(), async (stateDirectory) => {
    const journal = openJournal(":memory:", () => new Date());
    const wanted = beginStaging(journal);
    mkdirSync(join(stateDirectory, "parts"));
    for (const name of [...wanted, "0".repeat(64)]) writeFileSync(join(stateDirectory, "parts", name), "");
    expect(await removeUnwantedParts({ journal, stateDirectory, layerTurns: createTurnsByKey() })).toEqual([
      join(stateDirectory, "parts", "0".repeat(64)),
    ]);
    expect(readdirSync(join(stateDirectory, "parts")).sort()).toEqual(wanted.sort());
  }));

test("what a staging finds there that begins while unwanted blobs are looked for is kept", () =>
  withTemporaryDirectory(tmpdir(), async (stateDirectory) => {
    const journal = openJournal(":memory:", () => new Date());
    mkdirSync(join(stateDirectory, "parts"));
    writeFileSync(join(stateDirectory, "parts", "2".repeat(64)), "");
    const removing = removeUnwantedParts({ journal, stateDirectory, layerTurns: createTurnsByKey() });
    beginStaging(journal);
    expect(await removing).toEqual([]);
    expect(readdirSync(join(stateDirectory, "parts"))).toEqual(["2".repeat(64)]);
  }));

test("a blob that is being brought is no unwanted one, although no staging needs it, as in a repair", () =>
  withRepository(async ({ bringer, coming, url, requests, parts, node }) => {
    const engine = bringer(url);
    const journal = openJournal(":memory:", () => new Date());
    let removed: string[] | undefined;
    engine.pace = async () => {
      removed ??= await removeUnwantedParts({ journal, ...engine });
    };
    const repair = { ...coming, replace: true };
    await fetchBlob(engine, repair);
    await layBlob(engine, repair);
    expect(removed).toEqual([]);
    expect(requests.length).toBe(1);
    await node.scrubLayer(verityOf(coming.layer));
    expect(parts()).toEqual([]);
  }));

test("a staging leaves no blob behind, not even one whose layer a killed staging had laid down", () =>
  withRig(async (rig) => {
    await rig.start();
    const { layers } = await rig.publish({ version: "1.0.0" });
    expect((await rig.operate("deploy")).state).toBe("done");
    await rig.publish({ version: "1.1.0" });
    writeFileSync(join(rig.state, "parts", hexOf(layers[0]?.digest ?? "sha256:")), "what the killed one left");
    expect((await rig.operate("deploy")).state).toBe("done");
    expect(readdirSync(join(rig.state, "parts"))).toEqual([]);
  }));
