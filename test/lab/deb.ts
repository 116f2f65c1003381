import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../effects/process.ts";

const CACHE = join(import.meta.dirname, "..", "..", ".ostler", "cache");

/** Makes `directory` a repository of apt that has one of Debian's own packages, which this machine downloads once. */
export async function debRepository(directory: string, name: string): Promise<void> {
  const cached = join(CACHE, `deb-${name}`);
  if (filesIn(cached).length === 0) {
    const half = `${cached}.half`;
    rmSync(half, { recursive: true, force: true });
    mkdirSync(half, { recursive: true });
    await run(["apt-get", "-q", "download", name], { cwd: half });
    rmSync(cached, { recursive: true, force: true });
    renameSync(half, cached);
  }
  const [file = ""] = filesIn(cached);
  mkdirSync(directory, { recursive: true });
  copyFileSync(join(cached, file), join(directory, "package.deb"));
  const bytes = readFileSync(join(directory, "package.deb"));
  const { stdout } = await run(["dpkg-deb", "--field", join(directory, "package.deb")]);
  const about = [
    `Filename: ./package.deb`,
    `Size: ${bytes.length}`,
    `SHA256: ${createHash("sha256").update(bytes).digest("hex")}`,
  ];
  writeFileSync(join(directory, "Packages"), `${stdout.trimEnd()}\n${about.join("\n")}\n`);
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
