import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

/**
 * Everything that tells one tree from another, path by path (latin1 strings, the root as "."): type, mode, owners,
 * times to the nanosecond, link counts and which names share a file, devices, sizes, contents, extended attributes.
 * Needs getfattr.
 */
export function describeTree(directory: string): Map<string, string> {
  const described = new Map<string, string>();
  const firstNames = new Map<bigint, string>();
  const xattrs = xattrsOf(directory);

  function visit(path: string): void {
    const host = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, "latin1")]);
    const stats = lstatSync(host, { bigint: true });
    const first = firstNames.get(stats.ino) ?? path;
    firstNames.set(stats.ino, first);
    const { mode, uid, gid, mtimeNs, nlink } = stats;
    const own = xattrs.get(path) ?? "";
    described.set(
      path,
      `${mode.toString(8)} ${uid}:${gid} ${mtimeNs} x${nlink} =${first} ${contentOf(host, stats)} ${own}`,
    );
    if (!stats.isDirectory()) return;
    const names = readdirSync(host, { encoding: "buffer" }).map((name) => name.toString("latin1"));
    for (const name of names.sort()) visit(path === "." ? name : `${path}/${name}`);
  }

  visit(".");
  return described;
}

function contentOf(host: Buffer, stats: BigIntStats): string {
  if (stats.isSymbolicLink()) return `-> ${readlinkSync(host, { encoding: "latin1" as BufferEncoding })}`;
  if (stats.isFile()) return `${stats.size} ${createHash("sha256").update(readFileSync(host)).digest("hex")}`;
  return stats.isDirectory() ? "" : `device ${stats.rdev}`;
}

/** Extended attributes by path, as getfattr tells them: it escapes bytes of names as \ooo. */
function xattrsOf(directory: string): Map<string, string> {
  const command = ["-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "."];
  const output = execFileSync("getfattr", command, { cwd: directory, maxBuffer: 256 * 1024 * 1024 }).toString("latin1");
  const files = output.split("\n\n").filter((text) => text.startsWith("# file: "));
  return new Map(
    files.map((text) => {
      const [first = "", ...values] = text.split("\n");
      const path = first
        .slice("# file: ".length)
        .replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
      return [path, values.sort().join(" ")];
    }),
  );
}
