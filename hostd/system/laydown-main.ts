import { readFileSync } from "node:fs";
import { startHasher } from "../../images/layer/hasher.ts";
import { layDown } from "../../images/layer/laydown.ts";
import { type FailureDocument, toFailureDocument } from "../../manifests/failure.ts";
import type { Descriptor } from "../../manifests/image.ts";
import { PROGRAMS } from "./programs.ts";

// A program of its own: lays one layer down, as laydown.ts asks on standard input, and says on the other how far it is
// and how it went, one JSON document a line.

export interface Task {
  blob: string;
  layer: Descriptor;
  destination: string;
}

export type Report = { read: number } | Ended;

/** Without an error the layer is laid down. */
export interface Ended {
  ended: true;
  error?: FailureDocument;
}

/** Bytes of the blob between two lines. */
const REPORT_EVERY = 8 * 1024 * 1024;

let told = 0;

void main();

function onBytes(read: number): void {
  if (read - told < REPORT_EVERY) return;
  told = read;
  say({ read });
}

function say(report: Report): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

async function main(): Promise<void> {
  const { blob, layer, destination } = JSON.parse(readFileSync(0, "utf8")) as Task;
  const hasher = startHasher(PROGRAMS.hashBlocks);
  await layDown(blob, layer, destination, { onBytes, hasher }).then(
    () => say({ ended: true }),
    (error: unknown) => say({ ended: true, error: toFailureDocument(error) }),
  );
}
