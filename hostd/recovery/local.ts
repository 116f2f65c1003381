import { entryName, findEntry, nextNumber } from "../../images/boot/entries.ts";
import { parseRootList, rootDigestOf, rootListOf } from "../../images/boot/roots.ts";
import { EROFS_FORMAT } from "../../images/erofs/limits.ts";
import { type Boot, bootOf } from "../../manifests/boot.ts";
import { parseManifest } from "../../manifests/image.ts";
import { type Candidate, chooseRoot } from "./choose.ts";
import { layerProblem, type RecoveryDisk } from "./disk.ts";

export interface LocalResult {
  /** The root that is booted next; undefined where nothing on the disk can be. */
  restored: string | undefined;
  candidates: Candidate[];
}

/**
 * Looks at every root that the disk has a list of, reads all of its layers against their verity roots, and makes the best
 * one the default. What the first disk was laid down with gets its list and its UKI back where they are gone and the
 * parts are there. Nothing else on the disk is changed.
 */
export async function recoverLocally(disk: RecoveryDisk, log: (line: string) => void): Promise<LocalResult> {
  const known = await seedBoot(disk);
  if (known !== undefined) await giveBack(disk, known.boot, known.list, log);
  const names = (await disk.esp.read()).files.map(({ name }) => name);
  const candidates: Candidate[] = [];
  const read = new Map<string, string | undefined>();
  for (const root of await disk.files.roots()) {
    const problem = await rootProblem(disk, root, read);
    candidates.push({ root, entry: findEntry(names, root), problem });
    log(
      `root ${root.slice(0, 12)}: ${problem ?? "whole"}${findEntry(names, root) === undefined ? ", no entry on the ESP" : ""}`,
    );
  }
  const chosen = chooseRoot(candidates, await disk.files.good());
  if (chosen !== undefined) await disk.makeDefault(chosen.root, chosen.entry.number);
  return { restored: chosen?.root, candidates };
}

async function rootProblem(
  disk: RecoveryDisk,
  root: string,
  read: Map<string, string | undefined>,
): Promise<string | undefined> {
  const layers = parseRootList((await disk.files.rootList(root)) ?? "");
  if (layers === undefined) return "its list is not the one it is named by";
  for (const layer of layers) {
    if (!read.has(layer.root)) read.set(layer.root, await layerProblem(disk, { ...layer, format: EROFS_FORMAT }));
    const problem = read.get(layer.root);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** The boot document that the disk was laid down with, where its manifest still is what its own root says. */
async function seedBoot(disk: RecoveryDisk): Promise<{ boot: Boot; list: string } | undefined> {
  const seed = await disk.files.seed();
  if (seed === undefined) return undefined;
  const manifest = parseManifest(Buffer.from(seed.manifest));
  const boot = bootOf(manifest);
  const list = rootListOf(manifest);
  return boot !== undefined && rootDigestOf(list) === boot.root ? { boot, list } : undefined;
}

/** A list is nothing but its layers' roots, and is named by its digest; a UKI is its parts, and its digest is known. */
async function giveBack(disk: RecoveryDisk, boot: Boot, list: string, log: (line: string) => void): Promise<void> {
  const { files, esp } = disk;
  if ((await files.rootList(boot.root)) === undefined) {
    await files.writeRoot(list);
    log(`root ${boot.root.slice(0, 12)}: its list was gone, written again`);
  }
  const names = (await esp.read()).files.map(({ name }) => name);
  const entry = findEntry(names, boot.root);
  if (entry !== undefined && (await esp.holds(entry.name, boot.uki))) return;
  for (const part of boot.parts) if (!(await files.hasPart(part))) return;
  const parts = boot.parts.map(({ digest }) => files.partPath(digest));
  const number = entry?.number ?? nextNumber(names);
  await esp.install(entryName({ number, root: boot.root }), parts, boot.uki);
  log(`root ${boot.root.slice(0, 12)}: its UKI was damaged or gone, joined again`);
}
