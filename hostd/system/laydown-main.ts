import { readFileSync } from "node:fs";
import { layDown } from "../../images/layer/laydown.ts";
import { type FailureDocument, toFailureDocument } from "../../manifests/failure.ts";
import type { Descriptor, Digest } from "../../manifests/image.ts";

// A program of its own: lays one layer down, as laydown.ts asks on standard input, and says how it went on the other.

export interface Task {
  blob: string;
  layer: Descriptor;
  diffId: Digest;
  destination: string;
}

/** Empty when the layer is laid down. */
export interface Outcome {
  error?: FailureDocument;
}

const { blob, layer, diffId, destination } = JSON.parse(readFileSync(0, "utf8")) as Task;
const outcome: Outcome = await layDown(blob, layer, diffId, destination).then(
  () => ({}),
  (error: unknown) => ({ error: toFailureDocument(error) }),
);
process.stdout.write(JSON.stringify(outcome));
