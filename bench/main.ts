import { join } from "node:path";
import { benchActivate } from "./activate.ts";
import { installPeers } from "./packages.ts";
import { benchStage } from "./stage.ts";
import { benchStart } from "./start.ts";
import { benchSwitches } from "./switches.ts";

// `npm run bench -- [stage [ROUNDS] | activate | start [APPS] | switches [COUNT]]`; all of them where none is named. Never part of the
// tests. Needs root. Staging runs ours and real peers on the same input, interleaved.

const [what, count] = process.argv.slice(2);
const directory = join(import.meta.dirname, "../.ostler/bench");
if (what === undefined || what === "stage") {
  await installPeers();
  console.log(await benchStage(directory, Number(count ?? "3")));
}
if (what === undefined || what === "activate") console.log(await benchActivate());
if (what === undefined || what === "start") console.log(await benchStart(Number(count ?? "200")));
if (what === undefined || what === "switches") console.log(await benchSwitches(Number(count ?? "100")));
