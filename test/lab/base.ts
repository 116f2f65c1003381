import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { withLock } from "../../effects/lock.ts";
import { run } from "../../effects/process.ts";

/** What a node of the lab has beside Debian's essential packages. */
const PACKAGES = [
  ...["systemd", "systemd-sysv", "dbus", "bubblewrap", "mount", "util-linux", "libstdc++6"],
  ...["openssh-server", "openssh-sftp-server"], // started by a test that wants it
];

const SUITE = "bookworm";
const CACHE = join(import.meta.dirname, "..", "..", ".ostler", "cache");

/** Milliseconds that another test may take to make the base. */
const MAKE_LIMIT = 240_000;

/** A tar of a small Debian with systemd; made once for each list of packages, then kept. */
export async function labBase(): Promise<string> {
  await mkdir(CACHE, { recursive: true });
  const key = createHash("sha256")
    .update([SUITE, ...PACKAGES].join(" "))
    .digest("hex")
    .slice(0, 12);
  const tar = join(CACHE, `lab-base-${key}.tar`);
  const there = async () => (await unlessMissing(stat(tar))) !== undefined;
  if (await there()) return tar;
  await withLock(
    CACHE,
    async () => {
      if (await there()) return;
      const half = join(CACHE, ".lab-base.tar");
      await run(["mmdebstrap", "--quiet", "--variant=minbase", `--include=${PACKAGES.join(",")}`, SUITE, half]);
      const old = (await readdir(CACHE)).filter((name) => /^lab-base-.*\.tar$/.test(name));
      for (const name of old) await rm(join(CACHE, name));
      await rename(half, tar);
    },
    MAKE_LIMIT,
  );
  return tar;
}
