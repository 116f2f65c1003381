import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { NodeSystem } from "../../hostd/system/node.ts";
import type { FailureDocument } from "../../manifests/failure.ts";

/** A process that holds a node's effects open, as hostd does. */
export interface RemoteNode {
  node: NodeSystem;
  /** SIGKILL, as nobody is asked. */
  kill(): Promise<void>;
}

/** A failure that crossed the pipe. */
class RemoteFailure extends Error {
  readonly code: string;
  constructor({ code, message }: FailureDocument) {
    super(message);
    this.code = code;
  }
}

interface Reply {
  id: number;
  value?: unknown;
  failure?: FailureDocument;
}

const PROGRAM = fileURLToPath(new URL("./serve-node.ts", import.meta.url));
const NODE = join(import.meta.dirname, "..", "..", "node_modules", ".bin", "node");

/** Starts one; `enter` makes the command line that runs it where it belongs. */
export async function startRemoteNode(
  enter: (command: readonly string[]) => readonly string[],
  args: { state: string; run: string; launcher: string },
): Promise<RemoteNode> {
  const [program = "", ...rest] = enter([NODE, PROGRAM, args.state, args.run, args.launcher]);
  const child = spawn(program, rest, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  await Promise.race([
    once(lines, "line"),
    ended.then(() => Promise.reject(new Error("hostd's effects did not open"))),
  ]);
  const waiting = new Map<number, (reply: Reply) => void>();
  lines.on("line", (line) => {
    const reply = JSON.parse(line) as Reply;
    waiting.get(reply.id)?.(reply);
  });
  let last = 0;
  const call = async (name: string, values: unknown[]) => {
    const id = ++last;
    const reply = await new Promise<Reply>((resolve) => {
      waiting.set(id, resolve);
      child.stdin.write(`${JSON.stringify([id, name, values])}\n`);
    });
    if (reply.failure !== undefined) throw new RemoteFailure(reply.failure);
    return reply.value;
  };
  const get = (_: object, name: string) => (name === "then" ? undefined : (...values: unknown[]) => call(name, values));
  return {
    node: new Proxy({}, { get }) as NodeSystem,
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
