import { appendFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../effects/process.ts";
import { parentOf } from "../images/entry.ts";
import { type PackedLayer, packLayer } from "../images/layer/pack.ts";
import { walkDirectory } from "../images/layer/walk.ts";
import { openStore, type Store } from "../images/store.ts";
import { MEDIA_TYPES } from "../manifests/image.ts";

/** A desktop with its tools: about 1.5 GB in 40,000 files. */
const DEBIAN = [
  "xfce4",
  "firefox-esr",
  "build-essential",
  "git",
  "python3",
  "vim",
  "gimp",
  "openssh-server",
  "systemd",
];

/** The first version, and its next ones: each has another twentieth of the first one's files changed. */
export const VERSIONS = ["v1", "v2", "v3", "v4", "v5"] as const;
export type Version = (typeof VERSIONS)[number];

/** One file in so many is changed in a next version. */
const ONE_IN = 20;

/** The same versions as every peer wants them. */
export interface Input {
  /** OCI layouts with a tag for each version; each next one is v1's layer and one above it. */
  zstd: string;
  gzip: string;
  /** A repository as a server has it: every file compressed. */
  ostree: string;
  casync: string;
}

/** Makes what is missing below `directory`; the first time takes a quarter of an hour, then everything is there. */
export async function prepareInput(directory: string): Promise<Input> {
  mkdirSync(directory, { recursive: true });
  const at = (name: string) => join(directory, name);
  await once(at("debian.tar"), async (path) => {
    await run(["mmdebstrap", "--variant=minbase", `--include=${DEBIAN.join(",")}`, "--format=tar", "bookworm", path]);
  });
  await once(at("v1"), async (path) => {
    mkdirSync(path);
    await run(["tar", "-xpf", at("debian.tar"), "--numeric-owner", "--exclude=./dev/*", "-C", path]);
  });
  for (const [index, version] of VERSIONS.entries()) {
    if (index > 0) await once(at(version), (path) => changeSome(at("v1"), path, index));
  }
  const trees = VERSIONS.map((version) => ({ version, tree: at(version) }));
  await once(at("zstd"), (path) => packAll(path, trees, "zstd"));
  await once(at("gzip"), (path) => packAll(path, trees, "gzip"));
  await once(at("ostree"), async (path) => {
    await run(["ostree", `--repo=${path}`, "init", "--mode=archive"]);
    for (const { version, tree } of trees) {
      const what = [`--branch=${version}`, `--tree=dir=${tree}`, "--no-bindings", "--fsync=no"];
      await run(["ostree", `--repo=${path}`, "commit", ...what]);
    }
  });
  await once(at("casync"), async (path) => {
    mkdirSync(path);
    for (const { version, tree } of trees) {
      await run(["casync", "make", `--store=${path}/store.castr`, `${path}/${version}.caidx`, tree]);
    }
  });
  return { zstd: at("zstd"), gzip: at("gzip"), ostree: at("ostree"), casync: at("casync") };
}

/** Makes a path by way of another name, so that one that is there is whole. */
export async function once(path: string, make: (path: string) => Promise<void>): Promise<void> {
  if (existsSync(path)) return;
  console.error(`bench: making ${path}`);
  const half = `${path}.half`;
  rmSync(half, { recursive: true, force: true });
  await make(half);
  renameSync(half, path);
}

async function changeSome(from: string, to: string, number: number): Promise<void> {
  await run(["cp", "-a", from, to]);
  const files = (await walkDirectory(to)).filter(
    ({ type, size, path }) => type === "file" && size > 0 && path.startsWith("usr/"),
  );
  files.forEach(({ path }, index) => {
    if (index % ONE_IN === number - 1) appendFileSync(Buffer.from(`${to}/${path}`, "latin1"), "changed");
  });
}

type Tree = { version: Version; tree: string };

async function packAll(path: string, [first, ...others]: readonly Tree[], compression: "zstd" | "gzip"): Promise<void> {
  if (first === undefined) return;
  const store = await openStore(join(path, "oci"));
  const before = await walkDirectory(first.tree);
  const base = await packLayer(store, before, { section: "base", compression });
  await tagImage(store, first.version, [base]);
  const sizes = new Map(before.map(({ path, size }) => [path, size]));
  for (const { version, tree } of others) {
    const entries = changedIn(await walkDirectory(tree), sizes);
    await tagImage(store, version, [base, await packLayer(store, entries, { section: "deploy", compression })]);
  }
}

/** The files whose size is another, and the directories above them. */
function changedIn(after: Awaited<ReturnType<typeof walkDirectory>>, sizes: ReadonlyMap<string, number>) {
  const changed = after.filter(({ path, type, size }) => type === "file" && sizes.get(path) !== size);
  const needed = new Set<string>([""]);
  for (const { path } of changed) {
    for (let above = parentOf(path); above !== ""; above = parentOf(above)) needed.add(above);
  }
  const kept = new Set(changed);
  return after.filter((entry) => kept.has(entry) || (entry.type === "directory" && needed.has(entry.path)));
}

export async function tagImage(store: Store, tag: string, layers: readonly PackedLayer[]): Promise<void> {
  const config = {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  };
  const written = await store.write(Buffer.from(JSON.stringify(config)));
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: { mediaType: MEDIA_TYPES.config, ...written },
    layers: layers.map(({ descriptor }) => descriptor),
  };
  await store.tag(tag, {
    mediaType: MEDIA_TYPES.manifest,
    ...(await store.write(Buffer.from(JSON.stringify(manifest)))),
  });
}
