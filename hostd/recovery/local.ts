import { entryName, findEntry, nextNumber } from "../../images/boot/entries.ts";
import { parseRootList } from "../../images/boot/roots.ts";
import { EROFS_FORMAT } from "../../images/erofs/limits.ts";
import { type Candidate, chooseRoot } from "./choose.ts";
import { layerProblem, type RecoveryDisk } from "./disk.ts";
import { type KnownVersion, knownVersions } from "./known.ts";

export interface LocalResult {
  /** The root that is booted next; undefined where nothing on the disk can be. */
  restored: string | undefined;
  candidates: Candidate[];
}

/**
 * Looks at every root that the disk has a list of, reads all of its layers against their verity roots, and makes the best
 * one the default. Versions that this disk knows get their list and their UKI back, the last good one first, where they are
 * gone and the parts are there. Nothing else on the disk is changed.
 */
export async function recoverLocally(disk: RecoveryDisk, log: (line: string) => void): Promise<LocalResult> {
  const good = await disk.files.good();
  const known = await knownVersions(disk, log);
  const wanted = known.filter(({ boot }) => quarantineOf(known, boot.root, good) === undefined);
  const notGiven = new Map<string, string | undefined>();
  for (const version of wanted.sort((a, b) => Number(b.boot.root === good) - Number(a.boot.root === good))) {
    const problem = await giveBack(disk, version, log).catch((error: Error) => error.message); // others may be whole
    notGiven.set(version.boot.root, problem);
  }
  const names = (await disk.esp.read()).files.map(({ name }) => name);
  const candidates: Candidate[] = [];
  const read = new Map<string, string | undefined>();
  for (const root of await disk.files.roots()) {
    const problem = (await rootProblem(disk, root, read)) ?? notGiven.get(root) ?? quarantineOf(known, root, good);
    candidates.push({ root, entry: findEntry(names, root), problem });
    log(
      `root ${root.slice(0, 12)}: ${problem ?? "whole"}${findEntry(names, root) === undefined ? ", no entry on the ESP" : ""}`,
    );
  }
  const chosen = chooseRoot(candidates, good);
  if (chosen !== undefined) await disk.makeDefault(chosen.root, chosen.entry.number);
  return { restored: chosen?.root, candidates };
}

/** Why a version that this node took back is not gone back to; it may still be the last good one. */
function quarantineOf(known: readonly KnownVersion[], root: string, good: string | undefined): string | undefined {
  const reason = known.find(({ boot }) => boot.root === root)?.quarantined;
  return reason === undefined || root === good ? undefined : `quarantined on this node: ${reason}`;
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

/**
 * A list is nothing but its layers' roots, and is named by its digest; a UKI is its parts, and its digest is known. Answers
 * why the entry that is there cannot be booted.
 */
async function giveBack(
  { files, esp }: RecoveryDisk,
  { boot, list }: KnownVersion,
  log: (line: string) => void,
): Promise<string | undefined> {
  if ((await files.rootList(boot.root)) === undefined) {
    await files.writeRoot(list);
    log(`root ${boot.root.slice(0, 12)}: its list was gone, written again`);
  }
  const names = (await esp.read()).files.map(({ name }) => name);
  const entry = findEntry(names, boot.root);
  if (entry !== undefined && (await esp.holds(entry.name, boot.uki))) return undefined;
  for (const part of boot.parts) {
    if (!(await files.hasPart(part))) return `its UKI is damaged or gone, and its part ${part.digest} is not here`;
  }
  const parts = boot.parts.map(({ digest }) => files.partPath(digest));
  const number = entry?.number ?? nextNumber(names);
  await esp.install(entryName({ number, root: boot.root }), parts, boot.uki);
  log(`root ${boot.root.slice(0, 12)}: its UKI was damaged or gone, joined again`);
  return undefined;
}
