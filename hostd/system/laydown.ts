import { getCompileCacheDir } from "node:module";
import { run } from "../../effects/process.ts";
import { Failure } from "../../manifests/failure.ts";
import { verityOf } from "../../manifests/image.ts";
import type { Ended, Report, Task } from "./laydown-main.ts";
import { PROGRAMS } from "./programs.ts";

/** Images above this many bytes are laid down by a process of their own. */
const APART_ABOVE = 8 * 1024 * 1024;

/** bin/hostd-bundled gives every freed buffer back at once: right for a daemon that waits, slow for this. */
const WITHOUT_DAEMONS_MALLOC = { MALLOC_MMAP_THRESHOLD_: undefined, MALLOC_TRIM_THRESHOLD_: undefined };

/** Buffers of a megabyte each are freed soon where young objects have little room: a third less memory. */
const SMALL_HEAP = ["--max-semi-space-size=1"];

/**
 * Lays a layer down; a large one in a process of its own, so that its memory is given back, hostd goes on answering
 * meanwhile, and an abort ends it at once. That process dies with hostd. Throws the failure that layDown throws.
 */
export async function layDownApart(
  task: Task,
  options: { signal?: AbortSignal | undefined; onBytes?: ((read: number) => void) | undefined } = {},
): Promise<void> {
  const { signal, onBytes } = options;
  signal?.throwIfAborted();
  const { blob, layer, destination } = task;
  if (verityOf(layer).size <= APART_ABOVE) {
    const { layDown } = await import("../../images/layer/laydown.ts");
    return await layDown(blob, layer, destination, { onBytes });
  }
  const ends: Ended[] = [];
  const onLine = byLine((line) => {
    const report = JSON.parse(line) as Report;
    if ("ended" in report) ends.push(report);
    else onBytes?.(report.read);
  });
  const onOutput = (text: string, from: string) => from === "stdout" && onLine(text);
  const env = { ...process.env, ...WITHOUT_DAEMONS_MALLOC, NODE_COMPILE_CACHE: getCompileCacheDir() };
  await run(layDownCommand(process.execPath), { input: JSON.stringify(task), signal, env, onOutput });
  const [end] = ends;
  if (end === undefined) throw new Failure("failed", "internal", "expected the end of laying a layer down, got none");
  if (end.error === undefined) return;
  const { outcome, code, message, hint, details } = end.error;
  throw new Failure(outcome, code, message, { hint, details });
}

/** Puts pieces of text together to whole lines. */
function byLine(onLine: (line: string) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
  };
}

/** The process: Node with little room for garbage, killed when its parent ends. */
function layDownCommand(node: string): string[] {
  const quiet = "--disable-warning=ExperimentalWarning";
  return ["setpriv", "--pdeathsig", "KILL", node, quiet, ...SMALL_HEAP, PROGRAMS.laydown];
}
