// What the ESP of a host holds, by name: one UKI per version, the loader's settings, and the recovery entry. The disk's
// maker and the node both go by this page. Names and order are systemd-boot's (its manual page, and the Boot Loader
// Specification, "Boot counting").

/** Paths in the ESP, from its root. */
export const ESP = {
  entries: "EFI/Linux",
  loader: "EFI/BOOT/BOOTX64.EFI",
  loaderConf: "loader/loader.conf",
  /** Firmware that finds nothing to boot ends in its shell; this makes it start again instead. */
  startup: "startup.nsh",
} as const;

/** The small system that lays a good image down again; no default matches its name, and it sorts behind all others. */
export const RECOVERY_ENTRY = "recovery.efi";

/** IMAGE_ID in the recovery's .osrel: entries are sorted by it first, so nothing else may come after. */
export const RECOVERY_SORT_KEY = "zz-recovery";

export const STARTUP_NSH = "reset -c\r\n";

/** Starts of a trial before it counts as failed. */
export const TRIES = 3;

/** Hex digits of the root digest in an entry's name. */
const SHORT_ROOT = 12;

/** Starts that are left and that were made; an entry without them is proven (blessed). */
export interface Tries {
  left: number;
  done: number;
}

/** One version on the ESP. */
export interface BootEntry {
  /** Rises with every version that this node ever had. */
  number: number;
  /** First 12 hex digits of the root digest. */
  root: string;
  /** Absent where the entry is proven. */
  tries?: Tries;
}

const NAME = /^ostler-(\d{4,9})-([0-9a-f]{12})(?:\+(\d{1,3})(?:-(\d{1,3}))?)?\.efi$/;

/** The file name of an entry: `ostler-0002-0123456789ab+3.efi`. `root` may be the whole digest. */
export function entryName({ number, root, tries }: BootEntry): string {
  const counter = tries === undefined ? "" : `+${tries.left}${tries.done === 0 ? "" : `-${tries.done}`}`;
  return `${entryStem({ number, root })}${counter}.efi`;
}

/** What stays the same in an entry's name while its tries are counted. */
export function entryStem({ number, root }: Pick<BootEntry, "number" | "root">): string {
  return `ostler-${String(number).padStart(4, "0")}-${root.slice(0, SHORT_ROOT)}`;
}

/** The entry that a file name means, also as systemd-boot reports it; undefined for any other file. */
export function parseEntryName(name: string): BootEntry | undefined {
  const [, number, root, left, done] = NAME.exec(name.toLowerCase()) ?? [];
  if (number === undefined || root === undefined) return undefined;
  const entry = { number: Number(number), root };
  return left === undefined ? entry : { ...entry, tries: { left: Number(left), done: Number(done ?? 0) } };
}

/** The entries among file names, the newest first; of one number, the proven before one that is still counted. */
export function findEntries(names: readonly string[]): (BootEntry & { name: string })[] {
  return names
    .flatMap((name) => {
      const entry = parseEntryName(name);
      return entry === undefined ? [] : [{ ...entry, name }];
    })
    .sort((a, b) => b.number - a.number || Number(a.tries !== undefined) - Number(b.tries !== undefined));
}

/** The entry of a root digest; the newest, should there be two. */
export function findEntry(names: readonly string[], root: string): (BootEntry & { name: string }) | undefined {
  return findEntries(names).find((entry) => entry.root === root.slice(0, SHORT_ROOT));
}

/** The number of the next version; `last` is the highest that is remembered, since entries are removed. */
export function nextNumber(names: readonly string[], last = 0): number {
  return 1 + Math.max(last, ...findEntries(names).map(({ number }) => number));
}

/** True where systemd-boot puts the entry behind all others: every start that it had failed. */
export function isExhausted({ tries }: BootEntry): boolean {
  return tries?.left === 0;
}

/**
 * loader.conf: the proven entry is booted at once, whatever its counter was. Without one the loader takes the first
 * in its own order, which is recovery when no version is there.
 */
export function loaderConf(good: Pick<BootEntry, "number"> | undefined): string {
  const pattern = good === undefined ? [] : [`default ostler-${String(good.number).padStart(4, "0")}-*`];
  return ["timeout 0", ...pattern, "editor no", ""].join("\n");
}

/** The number that loader.conf makes the default; undefined where it names none of ours. */
export function defaultOf(conf: string): number | undefined {
  const found = conf.split("\n").flatMap((line) => /^default\s+ostler-(\d{4,9})-\*\s*$/.exec(line)?.[1] ?? []);
  const last = found.at(-1);
  return last === undefined ? undefined : Number(last);
}
