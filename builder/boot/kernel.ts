import { BuildError } from "../error.ts";

/** Offsets in a bzImage (Linux, Documentation/arch/x86/boot.rst, "The real-mode kernel header"). */
const MAGIC_AT = 0x202;
const VERSION_AT = 0x20e;
const VERSION_FROM = 0x200;
const LONGEST_RELEASE = 128;

/** The release of a kernel, as `uname -r` will say it; refuses what is no x86 kernel. */
export function kernelRelease(image: Buffer, path: string): string {
  const isKernel = image.length > 4096 && image.toString("latin1", MAGIC_AT, MAGIC_AT + 4) === "HdrS";
  if (!isKernel) throw new BuildError("boot-file", `BOOT ${path}: expected a Linux kernel (bzImage), got other bytes`);
  const at = image.readUInt16LE(VERSION_AT) + VERSION_FROM;
  const release = /^[\x21-\x7e]+/.exec(image.toString("latin1", at, at + LONGEST_RELEASE))?.[0];
  if (release !== undefined) return release;
  throw new BuildError("boot-file", `BOOT ${path}: expected a kernel that names its release, got none`);
}
