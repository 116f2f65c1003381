import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import about from "../package.json" with { type: "json" };
import { BUNDLED } from "./bundled.ts";

/** Of these sources; where they were installed over SSH, with the name of what was installed (fleet/install). */
export const VERSION = versionIn(basename(dirname(fileURLToPath(import.meta.url))));

function versionIn(directory: string): string {
  return BUNDLED && /^[0-9a-f]{16}$/.test(directory) ? `${about.version}+${directory}` : about.version;
}
