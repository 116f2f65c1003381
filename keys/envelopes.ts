import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeDurably } from "../effects/durable.ts";
import { unlessMissing } from "../effects/errno.ts";
import { withLock } from "../effects/lock.ts";
import type { Source } from "../effects/source.ts";
import { type Digest, hexOf } from "../manifests/digest.ts";

/** All statements about one image, in bytes. */
const ENVELOPES_LIMIT = 16 * 1024 * 1024;
/** Lines looked at in one file, the last ones: bounds the signatures that garbage makes a node check. */
const MOST_LINES = 256;
const SHOWN_OF_BAD_LINE = 60;

/** Where an image's statements lie in a store and in a repository: one DSSE envelope per line (in-toto bundle). */
export function envelopesPath(image: Digest): string {
  return `statements/${hexOf(image)}.intoto.jsonl`;
}

/** The statements that came with an image, unverified; a line that is not JSON is returned as its text. */
export async function readEnvelopes(source: Source, image: Digest): Promise<unknown[]> {
  const bytes = await source.read(envelopesPath(image), ENVELOPES_LIMIT);
  return bytes === undefined ? [] : linesOf(bytes).slice(-MOST_LINES).map(parseLine);
}

/** Adds envelopes to a directory's statements about an image, durably; those already there are not added again. */
export async function appendEnvelopes(directory: string, image: Digest, envelopes: readonly unknown[]): Promise<void> {
  const path = join(directory, envelopesPath(image));
  await mkdir(dirname(path), { recursive: true });
  await withLock(path, async () => {
    const before = linesOf((await unlessMissing(readFile(path))) ?? Buffer.alloc(0));
    const lines = new Set([...before, ...envelopes.map((envelope) => JSON.stringify(envelope))]);
    if (lines.size > before.length) await writeDurably(path, `${[...lines].join("\n")}\n`);
  });
}

function linesOf(bytes: Buffer): string[] {
  const lines = bytes.toString("utf8").split("\n");
  return lines.filter((line) => line.trim() !== "");
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return line.slice(0, SHOWN_OF_BAD_LINE);
  }
}
