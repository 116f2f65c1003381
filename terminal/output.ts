import { Failure } from "../manifests/failure.ts";

/**
 * Writes a part of an answer to standard output; false where its reader has gone (`hostd watch | head -1`), which is no
 * failure. Throws `output` where it cannot be written: a full disk.
 */
export async function writeOutput(text: string): Promise<boolean> {
  const error = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => {
    process.stdout.write(text, resolve);
  });
  if (!error) return true;
  if (error.code === "EPIPE") return false;
  throw new Failure("failed", "output", `the answer could not be written: ${error.message}`, { cause: error });
}
