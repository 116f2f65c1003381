import { type NodeSystem, openNode } from "../../../../hostd/system/node.ts";

// A hostd to be killed: opens a node, calls one of its functions with JSON arguments, prints the answer, then waits.
const [state = "", run = "", name = "", ...values] = process.argv.slice(2);
const node = await openNode({ stateDirectory: state, runDirectory: run });
const call = node[name as keyof NodeSystem] as (...values: unknown[]) => Promise<unknown>;
const answer = await call(...values.map((value) => JSON.parse(value)));
process.stdout.write(`${JSON.stringify(answer ?? null)}\n`);
if (process.env["STAY"] !== undefined) setInterval(() => {}, 60_000);
