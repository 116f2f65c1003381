import { fileURLToPath } from "node:url";
import { run } from "../../effects/process.ts";
import { layDown } from "../../images/layer/laydown.ts";
import { Failure } from "../../manifests/failure.ts";
import { verityOf } from "../../manifests/image.ts";
import type { Outcome, Task } from "./laydown-main.ts";

/** Images above this many bytes are laid down by a process of their own. */
const APART_ABOVE = 32 * 1024 * 1024;

/** Two thirds of the memory for a few per cent of the time: buffers of a megabyte each are freed soon. */
const SMALL_HEAP = ["--max-semi-space-size=1", "--optimize-for-size"];

/**
 * Lays a layer down; a large one in a process of its own, so that its memory is given back, hostd goes on answering
 * meanwhile, and an abort ends it at once. That process dies with hostd. Throws the failure that layDown throws.
 */
export async function layDownApart(task: Task, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  if (verityOf(task.layer).size <= APART_ABOVE) {
    return await layDown(task.blob, task.layer, task.diffId, task.destination);
  }
  const { stdout } = await run(layDownCommand(process.execPath), { input: JSON.stringify(task), signal });
  const { error } = JSON.parse(stdout) as Outcome;
  if (error === undefined) return;
  const { hint, details } = error;
  throw new Failure(error.outcome, error.code, error.message, { hint, details });
}

/** The process: Node with little room for garbage, killed when its parent ends. */
function layDownCommand(node: string): string[] {
  const program = fileURLToPath(new URL("./laydown-main.ts", import.meta.url));
  const quiet = "--disable-warning=ExperimentalWarning";
  return ["setpriv", "--pdeathsig", "KILL", node, quiet, ...SMALL_HEAP, program];
}
