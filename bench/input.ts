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

/** One file in so many is changed in the next version. */
const ONE_IN = 20;

/** The same two versions as every peer wants them. */
export interface Input {
  /** OCI layouts with the tags v1 and v2, v2 being v1's layer and one above it. */
  zstd: string;
  gzip: string;
  ostree: string;
  casync: string;
}

/** Makes what is missing below `directory`; the first time takes minutes, then everything is there. */
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
  await once(at("v2"), (path) => changeSome(at("v1"), path));
  await once(at("zstd"), (path) => packBoth(path, at("v1"), at("v2"), "zstd"));
  await once(at("gzip"), (path) => packBoth(path, at("v1"), at("v2"), "gzip"));
  await once(at("ostree"), async (path) => {
    await run(["ostree", `--repo=${path}`, "init", "--mode=bare"]);
    for (const version of ["v1", "v2"]) {
      await run([
        "ostree",
        `--repo=${path}`,
        "commit",
        `--branch=${version}`,
        `--tree=dir=${at(version)}`,
        "--no-bindings",
      ]);
    }
  });
  await once(at("casync"), async (path) => {
    mkdirSync(path);
    for (const version of ["v1", "v2"]) {
      await run(["casync", "make", `--store=${path}/store.castr`, `${path}/${version}.caidx`, at(version)]);
    }
  });
  return { zstd: at("zstd"), gzip: at("gzip"), ostree: at("ostree"), casync: at("casync") };
}

export async function once(path: string, make: (path: string) => Promise<void>): Promise<void> {
  if (existsSync(path)) return;
  console.error(`bench: making ${path}`);
  const half = `${path}.half`;
  rmSync(half, { recursive: true, force: true });
  await make(half);
  renameSync(half, path);
}

async function changeSome(from: string, to: string): Promise<void> {
  await run(["cp", "-a", from, to]);
  const files = (await walkDirectory(to)).filter(
    ({ type, size, path }) => type === "file" && size > 0 && path.startsWith("usr/"),
  );
  files.forEach(({ path }, index) => {
    if (index % ONE_IN === 0) appendFileSync(Buffer.from(`${to}/${path}`, "latin1"), "changed");
  });
}

async function packBoth(path: string, v1: string, v2: string, compression: "zstd" | "gzip"): Promise<void> {
  const store = await openStore(join(path, "oci"));
  const before = await walkDirectory(v1);
  const base = await packLayer(store, before, { section: "base", compression });
  await tagImage(store, "v1", [base]);
  const sizes = new Map(before.map(({ path, size }) => [path, size]));
  const after = await walkDirectory(v2);
  const changed = after.filter(({ path, type, size }) => type === "file" && sizes.get(path) !== size);
  const needed = new Set<string>([""]);
  for (const { path } of changed) {
    for (let above = parentOf(path); above !== ""; above = parentOf(above)) needed.add(above);
  }
  const kept = new Set(changed);
  const entries = after.filter((entry) => kept.has(entry) || (entry.type === "directory" && needed.has(entry.path)));
  await tagImage(store, "v2", [base, await packLayer(store, entries, { section: "deploy", compression })]);
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
