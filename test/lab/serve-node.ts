import { createInterface } from "node:readline";
import { type LauncherChoice, type NodeSystem, openNode } from "../../hostd/system/node.ts";
import { toFailureDocument } from "../../manifests/failure.ts";

// A hostd's effects for a test outside: one JSON request a line on stdin, `[id, function, arguments]`, one answer each.

const [state = "", run = "", launcher = "bubblewrap"] = process.argv.slice(2);
const node = await openNode({ stateDirectory: state, runDirectory: run, launcher: launcher as LauncherChoice });
const input = createInterface({ input: process.stdin });
process.stdout.write("ready\n");
for await (const line of input) void answer(line);

async function answer(line: string): Promise<void> {
  const [id, name, values] = JSON.parse(line) as [number, keyof NodeSystem, unknown[]];
  const call = node[name] as (...values: unknown[]) => Promise<unknown>;
  const reply = await call(...values).then(
    (value) => ({ id, value }),
    (error) => ({ id, failure: toFailureDocument(error) }),
  );
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
