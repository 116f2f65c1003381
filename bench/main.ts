import { join } from "node:path";
import { benchActivate } from "./activate.ts";
import { installPeers } from "./packages.ts";
import { benchStage } from "./stage.ts";

// `npm run bench [ROUNDS]`: ours and real peers on the same input, interleaved. Never part of the tests. Needs root.

const rounds = Number(process.argv[2] ?? "3");
const directory = join(import.meta.dirname, "../.ostler/bench");
await installPeers();
console.log(await benchStage(directory, rounds));
console.log(await benchActivate(directory));
