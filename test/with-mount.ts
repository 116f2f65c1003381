import { mkdir } from "node:fs/promises";
import { run } from "../effects/process.ts";

/** Mounts something at a new directory for as long as `use` runs; always unmounted. */
export async function withMount<T>(
  options: readonly string[],
  source: string,
  target: string,
  use: (target: string) => Promise<T>,
): Promise<T> {
  await mkdir(target, { recursive: true });
  await run(["mount", ...options, source, target]);
  try {
    return await use(target);
  } finally {
    await run(["umount", target]);
  }
}

/** A file system in memory, which keeps large extended attributes. */
export function withMemoryFilesystem<T>(target: string, use: (target: string) => Promise<T>): Promise<T> {
  return withMount(["-t", "tmpfs", "-o", "size=512m"], "tmpfs", target, use);
}

/** A laid-down layer, as the kernel reads it. */
export function withErofs<T>(image: string, target: string, use: (target: string) => Promise<T>): Promise<T> {
  return withMount(["-t", "erofs", "-o", "ro,loop"], image, target, use);
}
