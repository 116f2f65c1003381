import { type BootEntry, defaultOf, entryName, findEntries, TRIES } from "../../images/boot/entries.ts";

/** A version of the host, as far as the ESP is concerned. */
export interface Version {
  root: string;
  /** Size of its UKI, bytes. */
  size: number;
  proven: boolean;
}

export interface EspSituation {
  names: readonly string[];
  conf: string;
  /** Versions with a slot on this node. */
  versions: readonly Version[];
  booted: string;
  good: string | undefined;
  /** Root of an upgrade under way: its entry is that operation's business. */
  trial: string | undefined;
}

/** What has to be done to the ESP; the order is the order of the steps, and each leaves it bootable. */
export interface EspRepair {
  rename: { from: string; to: string }[];
  setDefault: number | undefined;
  remove: string[];
  /** Whether the last good version has no entry. */
  lost: boolean;
}

/**
 * What a start of hostd mends on the ESP: the last good version is the default and has no tries, entries of versions
 * that are not here any more go. Never touches what is booted, last-good, a trial under
 * way, or a file that is not an entry of ours: recovery among them.
 */
export function repairEsp(situation: EspSituation): EspRepair {
  const { names, conf, versions, booted, good, trial } = situation;
  const entries = findEntries(names);
  const kept = [booted, good, trial].flatMap((root) => (root === undefined ? [] : [short(root)]));
  const ofGood = good === undefined ? undefined : entries.find(({ root }) => root === short(good));
  const lost = good !== undefined && ofGood === undefined;
  const repair: EspRepair = { rename: [], setDefault: undefined, remove: [], lost };
  const ofTrial = trial === undefined ? undefined : entries.find(({ root }) => root === short(trial));
  const present = defaultOf(conf);
  const isBeingBlessed = ofTrial !== undefined && present === ofTrial.number;
  if (ofGood !== undefined && present !== ofGood.number && !isBeingBlessed) repair.setDefault = ofGood.number;
  for (const entry of entries) {
    const version = versions.find(({ root }) => short(root) === entry.root);
    const isOther = entry !== ofGood && entries.find(({ root }) => root === entry.root) !== entry;
    if (isOther || (!kept.includes(entry.root) && version?.proven !== true)) repair.remove.push(entry.name);
    else if (entry.tries !== undefined && (entry === ofGood || version?.proven === true) && entry !== ofTrial) {
      repair.rename.push({ from: entry.name, to: entryName({ number: entry.number, root: entry.root }) });
    }
  }
  return repair;
}

/** Entries that go before a version is written: of versions that retention gave up. Never booted, last-good, or a trial. */
export function collectEntries(situation: Omit<EspSituation, "conf">): string[] {
  const keep = new Set(situation.versions.map(({ root }) => short(root)));
  for (const root of [situation.booted, situation.good, situation.trial]) if (root !== undefined) keep.add(short(root));
  return findEntries(situation.names)
    .filter(({ root }) => !keep.has(root))
    .map(({ name }) => name);
}

/** Bytes that the ESP still needs so that every version which is kept has its place on it. */
export function espNeeds(names: readonly string[], versions: readonly Version[]): number {
  const there = new Set(findEntries(names).map(({ root }) => root));
  return versions.filter(({ root }) => !there.has(short(root))).reduce((sum, { size }) => sum + size, 0);
}

/** The name under which an entry begins a trial: all its tries, whatever an earlier trial left of them. */
export function trialName(entry: Pick<BootEntry, "number" | "root">): string {
  return entryName({ ...entry, tries: { left: TRIES, done: 0 } });
}

export function short(root: string): string {
  return root.slice(0, 12);
}
