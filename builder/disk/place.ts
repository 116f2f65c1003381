import { fileURLToPath } from "node:url";
import { run } from "../../effects/process.ts";

/** Writes a file into a larger one from a byte on, without its holes: the disk stays as sparse as its parts. */
export async function placeFile(from: string, to: string, offset: number, signal: AbortSignal): Promise<void> {
  await run(["perl", fileURLToPath(new URL("./place.pl", import.meta.url)), from, to, String(offset)], { signal });
}
