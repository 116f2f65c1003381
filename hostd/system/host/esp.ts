import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { syncDirectory, syncEach, TEMPORARY_NAME, temporaryNameOf, writeDurably } from "../../../effects/durable.ts";
import { unlessMissing } from "../../../effects/errno.ts";
import { run } from "../../../effects/process.ts";
import { READ_SIZE } from "../../../effects/source.ts";
import { ESP, loaderConf } from "../../../images/boot/entries.ts";
import type { BootBlob } from "../../../manifests/boot.ts";
import { digestFromHex } from "../../../manifests/digest.ts";
import { HostdError } from "../../error.ts";

/** A file of EFI/Linux. */
export interface EspFile {
  name: string;
  size: number;
}

/** What the ESP holds. */
export interface EspContent {
  /** Entries and whatever else lies beside them, finished files alone. */
  files: EspFile[];
  /** Paths, below the ESP, of files that were never finished: entries, and the loader's settings. */
  unfinished: string[];
  /** Text of loader.conf, empty where there is none. */
  conf: string;
  /** Bytes. */
  free: number;
  total: number;
}

/** The ESP as hostd uses it: entries appear whole or not at all, and every change is on the disk when it returns. */
export interface Esp {
  read(): Promise<EspContent>;
  /** Whether the entry is there with exactly these bytes, as the disk gives them back. */
  holds(name: string, uki: BootBlob): Promise<boolean>;
  /** Joins the parts, reads back what the disk has of it, and only then gives it its name. */
  install(name: string, parts: readonly string[], uki: BootBlob): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Takes away what was never finished, by its path below the ESP. */
  discard(path: string): Promise<void>;
  /** Makes the entry with this number what is booted unless something else is asked for. */
  setDefault(number: number): Promise<void>;
}

/** Opens the ESP mounted at `directory`; every call refuses (`no-esp`) while it is not. */
export function openEsp(directory: string): Esp {
  const entries = join(directory, ESP.entries);
  const conf = join(directory, ESP.loaderConf);

  async function requireEsp(): Promise<void> {
    if ((await unlessMissing(stat(join(directory, ESP.loader)))) !== undefined) return;
    throw new HostdError("no-esp", `${directory}: expected the mounted ESP with ${ESP.loader}, found none`, {
      hint: "systemctl status efi.mount",
    });
  }

  async function unfinishedIn(place: string): Promise<string[]> {
    const names = (await unlessMissing(readdir(join(directory, place)))) ?? [];
    return names.filter((name) => TEMPORARY_NAME.test(name)).map((name) => join(place, name));
  }

  return {
    async read() {
      await requireEsp();
      const names = await readdir(entries);
      const files = names.filter((name) => !name.startsWith("."));
      const { bavail, blocks, bsize } = await statfs(directory);
      return {
        files: await Promise.all(files.map(async (name) => ({ name, size: (await stat(join(entries, name))).size }))),
        unfinished: (await Promise.all([ESP.entries, dirname(ESP.loaderConf)].map(unfinishedIn))).flat(),
        conf: (await unlessMissing(readFile(conf, "utf8"))) ?? "",
        free: bavail * bsize,
        total: blocks * bsize,
      };
    },
    holds: async (name, uki) => (await digestOnDisk(join(entries, name))) === uki.digest,
    async install(name, parts, uki) {
      await requireEsp();
      const temporary = temporaryNameOf(join(entries, name));
      try {
        await pipeline(joined(parts), createWriteStream(temporary, { flags: "wx" }));
        syncEach([temporary]);
        const found = await digestOnDisk(temporary);
        if (found !== uki.digest) throw wrongBytes(temporary, uki.digest, found);
        await renameOnFat(temporary, join(entries, name));
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    async rename(from, to) {
      if (from === to) return;
      await renameOnFat(join(entries, from), join(entries, to));
    },
    async remove(name) {
      await rm(join(entries, name), { force: true });
      await syncDirectory(entries);
    },
    async discard(path) {
      await rm(join(directory, path), { force: true });
      await syncDirectory(dirname(join(directory, path)));
    },
    async setDefault(number) {
      await requireEsp();
      await mkdir(dirname(conf), { recursive: true });
      await writeDurably(conf, loaderConf({ number }));
      syncEach([conf]);
    },
  };
}

/**
 * Where a file begins and how long it is stands in its directory, and Linux writes that into the new name with the file,
 * not with the directory: until then the name is of an empty file. So both are synced, the file first.
 */
async function renameOnFat(from: string, to: string): Promise<void> {
  await rename(from, to);
  syncEach([to]);
  await syncDirectory(dirname(to));
}

async function* joined(parts: readonly string[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield* createReadStream(part, { highWaterMark: READ_SIZE });
}

/** The digest of what the disk holds, not of what the page cache remembers of writing it. */
async function digestOnDisk(file: string): Promise<string | undefined> {
  if ((await unlessMissing(stat(file))) === undefined) return undefined;
  await run(["dd", `of=${file}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"]);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: READ_SIZE })) hash.update(chunk as Buffer);
  return digestFromHex(hash.digest("hex"));
}

function wrongBytes(file: string, expected: string, found: string | undefined): HostdError {
  return new HostdError("blob-digest", `${file}: expected ${expected}, read back ${found ?? "nothing"}`, {
    hint: "hostd stage brings parts of the UKI again that were damaged; where it was none of them, the ESP or its disk is failing",
    details: { expected, found },
  });
}
