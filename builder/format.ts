/**
 * Version of everything that turns a recipe into bytes: part of every cache key and of provenance, so that a newer
 * builder never takes an older one's results for its own.
 */
export const BUILD_FORMAT = 1;

/** OCI names of the machine's architecture, as images and cache keys carry it. */
export function architecture(): string {
  const names: Record<string, string> = { x64: "amd64", arm64: "arm64", arm: "arm", ia32: "386" };
  return names[process.arch] ?? process.arch;
}
