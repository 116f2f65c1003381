import { createHash, type Hash } from "node:crypto";
import { join } from "node:path";
import type { Entry } from "../images/entry.ts";
import { loadImage } from "../images/image.ts";
import type { Store } from "../images/store.ts";
import { createTarReader } from "../images/tar/read.ts";
import { compressionOf, decompress } from "../images/zstd.ts";
import { BOOT_ANNOTATION } from "../manifests/boot.ts";
import type { Digest } from "../manifests/digest.ts";
import type { Descriptor } from "../manifests/image.ts";
import { type BuildOptions, type BuildResult, build } from "./build.ts";
import { fromBinary } from "./tree/bytes.ts";

/** Whether two builds of one input gave one image; otherwise the first thing that differs. */
export interface Verdict {
  same: boolean;
  first: Digest;
  second: Digest;
  difference?: Difference;
  text: string;
}

export interface Difference {
  /** Section of the layer; undefined where only the image's documents differ. */
  layer: string | undefined;
  /** Path inside the image; undefined where the layer's order or framing differs. */
  path: string | undefined;
  /** `content`, `mode`, `mtime`, ... with both values. */
  what: string;
}

/** Builds once more from nothing but the lock (empty cache, base made again) and compares. No tag moves. */
export async function verifyBuild(first: BuildResult, options: BuildOptions): Promise<Verdict> {
  const { cache, store } = first.tree.shop;
  return cache.withWork(async (work) => {
    const second = await build({ ...options, update: false, cacheDirectory: join(work, "cache"), tag: false });
    const digests = { first: first.descriptor.digest, second: second.descriptor.digest };
    if (digests.first === digests.second) {
      return { same: true, ...digests, text: `two builds give ${digests.first}` };
    }
    const difference = await firstDifference(store, digests.first, digests.second);
    const place = [difference.layer === undefined ? "image" : `layer ${difference.layer}`, difference.path].filter(
      Boolean,
    );
    const text = `two builds differ: ${digests.first} and ${digests.second}\n${place.join(", ")}: ${difference.what}`;
    return { same: false, ...digests, difference, text };
  });
}

async function firstDifference(store: Store, first: Digest, second: Digest): Promise<Difference> {
  const [one, two] = [await loadImage(store, first), await loadImage(store, second)];
  const sections = (image: typeof one) =>
    image.manifest.layers.map((layer) => layer.annotations?.["dev.ostler.layer.section"] ?? "");
  const [names, others] = [sections(one), sections(two)];
  if (names.join() !== others.join())
    return { layer: undefined, path: undefined, what: `layers ${names.join()} and ${others.join()}` };
  for (const [index, layer] of one.manifest.layers.entries()) {
    const other = two.manifest.layers[index] as Descriptor;
    if (other.digest === layer.digest) continue;
    const found = compareLayers(await readLayer(store, layer), await readLayer(store, other));
    return { layer: names[index], path: undefined, what: "the bytes, though every entry is the same", ...found };
  }
  const boots = [one, two].map(({ manifest }) => manifest.annotations?.[BOOT_ANNOTATION]);
  const what = boots[0] === boots[1] ? "the image config" : `boot: ${boots.join(" and ")}`;
  return { layer: undefined, path: undefined, what };
}

type Facts = Record<string, string | number>;

/** The first path, in the first layer's order, whose facts differ. Pure. */
export function compareLayers(
  one: ReadonlyMap<string, Facts>,
  two: ReadonlyMap<string, Facts>,
): { path: string; what: string } | undefined {
  for (const path of new Set([...one.keys(), ...two.keys()])) {
    const [a, b] = [one.get(path), two.get(path)];
    const shown = `/${fromBinary(path)}`;
    if (a === undefined || b === undefined)
      return { path: shown, what: `only in the ${a === undefined ? "second" : "first"} build` };
    const name = [...new Set([...Object.keys(a), ...Object.keys(b)])].find((key) => a[key] !== b[key]);
    if (name !== undefined) return { path: shown, what: `${name} ${a[name] ?? "absent"} and ${b[name] ?? "absent"}` };
  }
  return undefined;
}

async function readLayer(store: Store, layer: Descriptor): Promise<Map<string, Facts>> {
  const facts = new Map<string, Facts>();
  let open: { path: string; hash: Hash } | undefined;
  const close = () => {
    if (open !== undefined) Object.assign(facts.get(open.path) ?? {}, { content: open.hash.digest("hex") });
    open = undefined;
  };
  const reader = createTarReader({
    entry(entry) {
      close();
      facts.set(entry.path, factsOf(entry));
      if (entry.type === "file") open = { path: entry.path, hash: createHash("sha256") };
    },
    data: (chunk) => open?.hash.update(chunk),
  });
  for await (const chunk of decompress(store.stream(layer.digest), compressionOf(layer.mediaType))) reader.push(chunk);
  reader.finish();
  close();
  return facts;
}

function factsOf(entry: Entry): Facts {
  const { type, mode, uid, gid, size, link, mtime, device } = entry;
  const xattrs = [...entry.xattrs].map(([name, value]) => [`xattr ${name}`, value.toString("hex")]);
  const numbers = {
    mode: mode.toString(8),
    uid,
    gid,
    size,
    mtime: mtime.seconds,
    device: `${device.major}:${device.minor}`,
  };
  return { type, ...numbers, link, ...Object.fromEntries(xattrs) };
}
