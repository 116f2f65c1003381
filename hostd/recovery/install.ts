import { createHash } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { unlessMissing } from "../../effects/errno.ts";
import { endedBy, openSource } from "../../effects/source.ts";
import { entryName, findEntries, findEntry, nextNumber } from "../../images/boot/entries.ts";
import { rootDigestOf, rootListOf } from "../../images/boot/roots.ts";
import { seedTrust } from "../../keys/trust.ts";
import { seedPath } from "../../keys/truststate.ts";
import { type Boot, bootOf } from "../../manifests/boot.ts";
import { canonicalJson } from "../../manifests/document.ts";
import { type ImageManifest, parseManifest, verityOf } from "../../manifests/image.ts";
import type { Release } from "../../manifests/release.ts";
import { HostdError } from "../error.ts";
import { fetchLayer } from "../stage/blob.ts";
import { openExaminer } from "../stage/examine.ts";
import { type Found, identify } from "../stage/identify.ts";
import { layerProblem, type RecoveryDisk } from "./disk.ts";
import { refuseQuarantined } from "./known.ts";

export interface InstallOptions {
  /** Directory that was pushed to this machine, or http(s) address. */
  repository: string;
  product: string;
  channel: string;
  /** root.json that is trusted where the disk holds no trust of its own any more. */
  root: string;
  now: () => Date;
  signal: AbortSignal;
  log(line: string): void;
}

/**
 * Lays the released host image down again out of a repository that nobody trusts: the same verification as hostd's own
 * staging, by the keys that this node held before. Layers that are whole stay; data, identity and the journal are not
 * touched. Repeated after a cut, it goes on where it was.
 */
export async function installFrom(disk: RecoveryDisk, options: InstallOptions): Promise<Found> {
  const { product, channel, now, log } = options;
  const source = endedBy(options.signal, openSource(options.repository));
  const trustDirectory = await trustOf(disk, options.root);
  const release = await openExaminer({ source, trustDirectory, now })(
    { app: product, channel, floor: 0 },
    options.signal,
  );
  const found = await identify({ source, stateDirectory: disk.stateDirectory }, product, release);
  const manifest = parseManifest(Buffer.from(found.manifest));
  const boot = requireHost(manifest, product, found);
  refuseQuarantined(disk.stateDirectory, { product, image: found.image }, log);
  log(`${product} ${found.version}, sequence ${found.sequence}: verified`);
  const parts = join(disk.stateDirectory, "parts");
  await mkdir(parts, { recursive: true });
  const fetch = (blob: { digest: Found["image"]; size: number }) =>
    fetchLayer({
      source,
      layer: blob,
      parts,
      signal: options.signal,
      pace: async () => {},
      sleep: (milliseconds, signal) => delay(milliseconds, undefined, { signal }),
      onBytes: () => {},
    });
  for (const [index, layer] of manifest.layers.entries()) {
    const problem = await layerProblem(disk, verityOf(layer));
    if (problem === undefined) continue;
    log(`layer ${index + 1} of ${manifest.layers.length}: ${problem}: laid down again`);
    const blob = await fetch(layer);
    await disk.layers.layDownLayer({ blob, layer, signal: options.signal, replace: true });
    await rm(blob, { force: true });
  }
  for (const part of boot.parts) {
    if (!(await isWhole(disk, part))) await disk.files.takePart(await fetch(part), part.digest);
  }
  await disk.files.writeRoot(rootListOf(manifest));
  const number = await installEntry(disk, boot, log);
  await disk.writeSeed(seedOf(found, release));
  await disk.makeDefault(boot.root, number);
  return found;
}

/** The trust that this node has; where the disk lost it, the root that it was given at first. */
async function trustOf(disk: RecoveryDisk, root: string): Promise<string> {
  const directory = join(disk.stateDirectory, "trust");
  if ((await unlessMissing(readFile(seedPath(directory)))) !== undefined) return directory;
  const bytes = await unlessMissing(readFile(root));
  if (bytes === undefined) {
    throw new HostdError("not-allowed", `${root}: expected the root that this node trusts, got no file`, {
      hint: "bring the repository's metadata/1.root.json on a way that you trust, and name it with --root",
    });
  }
  await seedTrust(directory, bytes);
  return directory;
}

function requireHost(manifest: ImageManifest, product: string, { version }: Found): Boot {
  const boot = bootOf(manifest);
  if (boot !== undefined && rootDigestOf(rootListOf(manifest)) === boot.root) return boot;
  throw new HostdError("wrong-product", `${product} ${version}: expected a host image whose root is its layers`, {
    hint: "name the host's product with --product",
  });
}

/** The UKI under the name it had, or a new one. Entries that never were proven make room for it. */
async function installEntry({ esp, files }: RecoveryDisk, boot: Boot, log: (line: string) => void): Promise<number> {
  const names = (await esp.read()).files.map(({ name }) => name);
  const entry = findEntry(names, boot.root);
  const number = entry?.number ?? nextNumber(names);
  const name = entryName({ number, root: boot.root });
  if (!(await esp.holds(name, boot.uki))) {
    for (const other of findEntries(names)) {
      if (other.tries !== undefined || other.root === entry?.root) await esp.remove(other.name);
    }
    await esp.install(
      name,
      boot.parts.map(({ digest }) => files.partPath(digest)),
      boot.uki,
    );
    log(`UKI: installed as ${name}`);
  } else if (entry !== undefined && entry.name !== name) await esp.remove(entry.name);
  return number;
}

/** What lies in host/parts is hashed here: its size alone says nothing about a damaged disk. */
async function isWhole({ files }: RecoveryDisk, part: { digest: Found["image"]; size: number }): Promise<boolean> {
  if (!(await files.hasPart(part))) return false;
  const bytes = await readFile(files.partPath(part.digest));
  return part.digest === `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function seedOf({ manifest, config }: Found, release: Release) {
  return { "manifest.json": manifest, "config.json": config, "release.json": canonicalJson(release) };
}
