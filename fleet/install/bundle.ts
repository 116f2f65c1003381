import { createHash, hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { hasErrno } from "../../effects/errno.ts";
import { run } from "../../effects/process.ts";
import { withTemporaryDirectory } from "../../effects/temporary.ts";
import { FleetError } from "../error.ts";

// hostd as a machine gets it: the files of `npm run bundle`, named by what they hold.

const ROOT = join(import.meta.dirname, "../..");

/** What makes a directory a bundle. */
const NEEDED = ["hostd", "hostd.cjs", "hostd.service", "install", "node"];

export interface BundleFile {
  name: string;
  /** SHA-256, hexadecimal. */
  sha256: string;
  size: number;
  executable: boolean;
}

export interface Bundle {
  directory: string;
  /** The same for the same files, and for no others: what its directory on a machine is called. */
  id: string;
  files: readonly BundleFile[];
}

/** The bundle in `directory`, or that of these very sources where none is given, for as long as `use` runs. */
export async function withBundle<T>(directory: string | undefined, use: (bundle: Bundle) => Promise<T>): Promise<T> {
  if (directory !== undefined) return await use(await readBundle(directory));
  return await withTemporaryDirectory(join(ROOT, ".ostler/bundle"), async (made) => {
    await run([process.execPath, join(ROOT, "bundle.ts"), made]);
    return await use(await readBundle(made));
  });
}

/** Reads it whole, since what is sent is compared with it. Refuses (`no-bundle`) a directory that is none. */
export async function readBundle(directory: string): Promise<Bundle> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  });
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const missing = NEEDED.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new FleetError(
      "no-bundle",
      `${directory}: expected hostd as npm run bundle makes it, found no ${missing[0]}`,
      {
        hint: `npm run bundle ${directory}`,
      },
    );
  }
  const files = await Promise.all(names.sort().map((name) => readFileOf(directory, name)));
  return { directory, id: idOf(files), files };
}

/** As `sha256sum --check` reads it. */
export function sumsOf(files: readonly Pick<BundleFile, "name" | "sha256">[]): string {
  return files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join("");
}

export function idOf(files: readonly Pick<BundleFile, "name" | "sha256" | "executable">[]): string {
  const executables = files.filter(({ executable }) => executable).map(({ name }) => `x ${name}\n`);
  return hash("sha256", [sumsOf(files), ...executables].join("")).slice(0, 16);
}

async function readFileOf(directory: string, name: string): Promise<BundleFile> {
  const path = join(directory, name);
  const { size, mode } = await stat(path);
  const sha256 = createHash("sha256");
  await pipeline(createReadStream(path), sha256);
  return { name, sha256: sha256.digest("hex"), size, executable: (mode & 0o111) !== 0 };
}
