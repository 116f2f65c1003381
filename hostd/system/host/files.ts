import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { moveDurably, syncDirectory, TEMPORARY_NAME, writeDurably } from "../../../effects/durable.ts";
import { unlessMissing } from "../../../effects/errno.ts";
import { rootDigestOf } from "../../../images/boot/roots.ts";
import { type Digest, digestFromHex, hexOf } from "../../../manifests/digest.ts";
import { HostdError } from "../../error.ts";

const HEX = /^[0-9a-f]{64}$/;
/** Bytes of boot.log that are read. */
const LOG_LIMIT = 64 * 1024;

/** What lies below `host/` in the state directory and is read by the initrd and the guard too (docs/architecture.md). */
export interface HostFiles {
  /** Root digest of the last good root: what the ESP's default boots. */
  good(): Promise<string | undefined>;
  setGood(root: string): Promise<void>;
  /** Tells the guard until when, in seconds of uptime, the root must be blessed; undefined: nothing is on trial. */
  setTrial(trial: { root: string; deadline: number } | undefined): Promise<void>;
  /** Lines that initrd and guard wrote about a root since the last trial was armed. */
  bootLog(root: string): Promise<string[]>;
  clearBootLog(): Promise<void>;
  /** Writes a root list under its digest. */
  writeRoot(list: string): Promise<void>;
  rootList(root: string): Promise<string | undefined>;
  roots(): Promise<string[]>;
  /** Its list alone: it is how /etc of a root that is not here any more is found, which goes before it. */
  removeRoot(root: string): Promise<void>;
  /** Where a part of a UKI lies once it is verified. */
  partPath(part: Digest): string;
  hasPart(part: { digest: Digest; size: number }): Promise<boolean>;
  /** Takes in a part that was verified elsewhere on the same file system. */
  takePart(file: string, part: Digest): Promise<void>;
  parts(): Promise<Digest[]>;
  removePart(part: Digest): Promise<void>;
  /** What the disk was laid down with: documents as text, undefined where there are none. */
  seed(): Promise<{ manifest: string; config: string; release: string | undefined } | undefined>;
  /** Temporary files of a writer that was killed, and the /etc that was wiped in an earlier boot: what runs stands on this one's. */
  removeHalfMade(boot: string): Promise<string[]>;
}

export async function openHostFiles(stateDirectory: string): Promise<HostFiles> {
  const host = join(stateDirectory, "host");
  const place = (name: string) => join(host, name);
  for (const name of ["roots", "parts", "etc"]) await mkdir(place(name), { recursive: true });
  const read = async (name: string) => await unlessMissing(readFile(place(name), "utf8"));

  return {
    async good() {
      const root = (await read("good"))?.trim();
      return root !== undefined && HEX.test(root) ? root : undefined;
    },
    setGood: (root) => writeDurably(place("good"), `${root}\n`),
    async setTrial(trial) {
      if (trial !== undefined) return await writeDurably(place("trial"), `${trial.root} ${trial.deadline}\n`);
      await rm(place("trial"), { force: true });
      await syncDirectory(host);
    },
    async bootLog(root) {
      const text = (await read("boot.log")) ?? "";
      const lines = text.slice(-LOG_LIMIT).split("\n");
      return lines.filter((line) => line.startsWith(`${root} `)).map((line) => line.slice(root.length + 1));
    },
    async clearBootLog() {
      await rm(place("boot.log"), { force: true });
      await syncDirectory(host);
    },
    async writeRoot(list) {
      await writeDurably(place(`roots/${rootDigestOf(list)}`), list);
    },
    async rootList(root) {
      const list = HEX.test(root) ? await read(`roots/${root}`) : undefined;
      return list !== undefined && rootDigestOf(list) === root ? list : undefined;
    },
    roots: async () => (await readdir(place("roots"))).filter((name) => HEX.test(name)),
    removeRoot: (root) => rm(place(`roots/${root}`), { force: true }),
    partPath: (part) => place(`parts/${hexOf(part)}`),
    async hasPart({ digest, size }) {
      return (await unlessMissing(stat(place(`parts/${hexOf(digest)}`))))?.size === size;
    },
    takePart: (file, part) => moveDurably(file, place(`parts/${hexOf(part)}`)),
    parts: async () => (await readdir(place("parts"))).filter((name) => HEX.test(name)).map(digestFromHex),
    removePart: (part) => rm(place(`parts/${hexOf(part)}`), { force: true }),
    async seed() {
      const [manifest, config] = [await read("seed/manifest.json"), await read("seed/config.json")];
      if (manifest === undefined || config === undefined) return undefined;
      return { manifest, config, release: await read("seed/release.json") };
    },
    async removeHalfMade(boot) {
      const places = ["", "roots", "parts", "etc"];
      const found = await Promise.all(
        places.map(async (name) => (await readdir(place(name))).map((entry) => join(place(name), entry))),
      );
      const left = found.flat().filter((path) => isHalfMade(basename(path), boot));
      for (const path of left) await rm(path, { recursive: true, force: true });
      return left;
    },
  };
}

function isHalfMade(name: string, boot: string): boolean {
  const wipedIn = /^\.etc\.(.+)\.gone$/.exec(name)?.[1];
  if (wipedIn !== undefined) return wipedIn !== boot;
  return TEMPORARY_NAME.test(name) || /^\.[0-9a-f]{64}\.(?:making|gone)$/.test(name);
}

/** The boot documents of a host must agree with each other; what does not is not this node's doing. */
export function requireGood(good: string | undefined): string {
  if (good !== undefined) return good;
  throw new HostdError("no-host", "host/good: expected the root digest of a proven system, got none", {
    hint: "hostd serve settles it at its start",
  });
}
