import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { hasErrno } from "../effects/errno.ts";
import { BuildError } from "./error.ts";

/** Debian packages of the programs that a build starts inside others, where a missing one would be told badly. */
const PACKAGES: Record<string, string> = {
  bwrap: "bubblewrap",
  flock: "util-linux",
  mcopy: "mtools",
  "mkfs.btrfs": "btrfs-progs",
  "mkfs.ext4": "e2fsprogs",
  "mkfs.vfat": "dosfstools",
  mmdebstrap: "mmdebstrap",
  mount: "mount",
  perl: "perl-base",
  "qemu-img": "qemu-utils",
  "qemu-system-x86_64": "qemu-system-x86 ovmf",
  sbsign: "sbsigntool",
  setpriv: "util-linux",
  sgdisk: "gdisk",
  skopeo: "skopeo",
  ssh: "openssh-client",
  "ssh-keygen": "openssh-client",
  unshare: "util-linux",
};

/** Refuses to go on without the programs, and says which packages have them. */
export function expectPrograms(...names: string[]): void {
  const missing = names.filter((name) => !isProgram(name));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((name) => PACKAGES[name]))].join(" ");
  throw new BuildError("program-missing", `expected ${missing.join(", ")} on this machine, got no such program`, {
    hint: `apt-get install ${packages}, or ./run setup`,
  });
}

function isProgram(name: string): boolean {
  const directories = (process.env["PATH"] ?? "").split(delimiter).filter(Boolean);
  return directories.some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch (error) {
      if (hasErrno(error, "ENOENT", "ENOTDIR", "EACCES")) return false;
      throw error;
    }
  });
}
