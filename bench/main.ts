import { join } from "node:path";
import { benchActivate } from "./activate.ts";
import { bundle } from "./bundle.ts";
import { benchHost } from "./host.ts";
import { HOST_PACKAGES, installPeers, STAGE_PACKAGES } from "./packages.ts";
import { benchStage } from "./stage.ts";
import { benchStart } from "./start.ts";
import { benchSwitches } from "./switches.ts";

// `npm run bench -- [stage [ROUNDS [PEER...]] | activate | start [APPS] | switches [COUNT] | host [ROUNDS [WAY...]]]`; all but host where
// none is named. Never part of the tests. Needs root. Staging runs ours and real peers on the same input, interleaved.

const [what, count, ...which] = process.argv.slice(2);
const directory = join(import.meta.dirname, "../.ostler/bench");
const bundled = await bundle(join(directory, "hostd"));
if (what === undefined || what === "stage") {
  await installPeers(STAGE_PACKAGES);
  console.log(await benchStage(directory, bundled, Number(count ?? "3"), which));
}
if (what === undefined || what === "activate") console.log(await benchActivate(bundled));
if (what === undefined || what === "start") console.log(await benchStart(bundled, Number(count ?? "200")));
if (what === undefined || what === "switches") console.log(await benchSwitches(Number(count ?? "100")));
if (what === "host") {
  await installPeers(HOST_PACKAGES);
  console.log(await benchHost(directory, Number(count ?? "3"), which));
}
