import { createHash } from "node:crypto";
import { mkdir, readdir } from "node:fs/promises";
import { type Digest, digestFromHex } from "../../manifests/digest.ts";
import { createTarReader } from "../tar/read.ts";
import { compressionOf, decompress } from "../zstd.ts";
import { LayerError } from "./error.ts";
import { createExtraction } from "./extraction.ts";
import { withTar } from "./gnutar.ts";

export interface UnpackOptions {
  /**
   * What to do where an entry's parent directory has none: refuse (the default), or make it as root's with mode 0755.
   * An invented directory hides the true one of a layer below, so `create` is right for a lowest layer alone.
   */
  missingParents?: "refuse" | "create";
}

/**
 * Unpacks a layer into an empty or missing directory in overlay form, exactly: owners, modes, times to the
 * nanosecond, extended attributes, hard links, devices. Everything is checked before GNU tar, which does the writing,
 * sees it. Refuses a tar whose digest is not `diffId`. After an error the directory holds part of the layer.
 */
export async function unpackLayer(
  blob: AsyncIterable<Uint8Array>,
  mediaType: string,
  diffId: Digest | undefined,
  directory: string,
  options: UnpackOptions = {},
): Promise<{ diffId: Digest }> {
  await expectEmpty(directory);
  const hash = createHash("sha256");
  await withTar(directory, async (tar) => {
    const extraction = createExtraction(options.missingParents ?? "refuse");
    const reader = createTarReader(extraction);
    for await (const chunk of decompress(blob, compressionOf(mediaType))) {
      hash.update(chunk);
      reader.push(chunk);
      await tar.write(extraction.taken());
    }
    reader.finish();
    extraction.finish();
    await tar.write(extraction.taken());
    checkDiffId(diffId, digestFromHex(hash.copy().digest("hex")));
  });
  return { diffId: digestFromHex(hash.digest("hex")) };
}

async function expectEmpty(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const [first] = await readdir(directory);
  if (first === undefined) return;
  throw new LayerError("unpack-target", `${directory}: expected an empty directory, got one that holds ${first}`);
}

function checkDiffId(expected: Digest | undefined, got: Digest): void {
  if (expected === undefined || got === expected) return;
  throw new LayerError("diff-id-mismatch", `layer: expected diff_id ${expected}, got ${got}`);
}
