import { closeSync, existsSync, openSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "../manifests/failure.ts";
import { ask, heading, type Place, say, type, typeInBackground, typeToTheEnd } from "./console.ts";
import { openPlay } from "./play.ts";
import { editProject, openProject, revertProject } from "./project.ts";
import { countOrders, placeOrders, underLoad } from "./traffic.ts";

// The main job from end to end, told with public commands only: each is printed before it runs, so that it can be typed.

const PORT = 8080;
const root = join(import.meta.dirname, "..");
const directory = join(root, ".ostler", "demo");
const RUN = "/run/ostler-demo";
const node = `--state ${join(directory, "node")} --run ${RUN}`;
const demo = openPlay(directory);
const place: Place = {
  directory: join(directory, "shop"),
  interrupted: demo.interrupted,
  environment: {
    PATH: `${join(root, "bin")}:${process.env["PATH"]}`,
    OSTLER_HOME: join(directory, "home"),
    HOSTD_SOCKET: join(RUN, "hostd.sock"),
  },
};

await demo.play(story, `hostd's log is ${join(directory, "hostd.log")}`);

async function story(): Promise<void> {
  await clearNode();
  await expectFreePort();
  await prepare();
  const log = openSync(join(directory, "hostd.log"), "w");
  heading("a node");
  say("its state, its run directory, the repository it reads and the root it trusts:");
  const repository = join(directory, "home", "repository");
  const trust = `--repository ${repository} --root ${join(repository, "metadata", "1.root.json")} --channel production`;
  const hostd = typeInBackground(place, `hostd serve ${node} ${trust}`, log);
  try {
    await untilThere(place.environment["HOSTD_SOCKET"] ?? "");
    await type(place, "hostd status", 0);
    await firstVersion();
    await migration();
    await redVersion();
    await sickVersion();
    await takeDataBack();
    heading("what happened, as the node tells it");
    await type(place, "ostler history shop", 0);
    await type(place, "ostler status", 0);
  } finally {
    heading("leaving nothing behind");
    await hostd.stop();
    await wipeNode();
    closeSync(log);
  }
}

/** Ends what a demo left that could not clean up: its hostd, its apps and their mounts. */
async function clearNode(): Promise<void> {
  if (!existsSync(join(directory, "node", "hostd.db"))) return;
  heading("clearing what an interrupted demo left");
  const status = await ask<{ hostd: { pid: number } }>(place, ["hostd", "status"]).catch(() => undefined);
  if (status !== undefined) {
    process.kill(status.hostd.pid, "SIGTERM");
    while (existsSync(`/proc/${status.hostd.pid}`)) await sleep(100);
  }
  await wipeNode();
}

async function wipeNode(): Promise<void> {
  await typeToTheEnd(place, `hostd reset --wipe ${node}`);
  await rm(RUN, { recursive: true, force: true });
}

async function prepare(): Promise<void> {
  heading("a project and its keys");
  say("a small web shop with an SQLite database, in a git repository of its own:");
  await openProject(join(root, "recipes"), "shop", place.directory);
  for (const part of ["keys", "repository", "store", "trust"]) {
    await rm(join(directory, "home", part), { recursive: true, force: true });
  }
  await rm(join(directory, "node"), { recursive: true, force: true });
  process.stdout.write(`$ cd ${place.directory}\n$ export PATH=${join(root, "bin")}:$PATH\n`);
  for (const name of ["OSTLER_HOME", "HOSTD_SOCKET"]) {
    process.stdout.write(`$ export ${name}=${place.environment[name]}\n`);
  }
  await type(place, "ostler keys init", 0);
}

async function firstVersion(): Promise<void> {
  heading("version 1: built, tested, green, released, running");
  await demo.act("first build, from a bare Debian", "shop.recipe.lock", () =>
    type(place, "ostler build shop.recipe", 0),
  );
  await type(place, "git add shop.recipe.lock && git commit --quiet -m 'pin the base'", 0);
  await demo.act("build and test version 1", "green", () => type(place, "ostler ci shop.recipe", 0));
  await type(place, "ostler promote shop --to production --version 1.0.0 --set greeting=welcome", 0);
  await demo.act("version 1 staged and switched on", "running", () => type(place, "ostler deploy shop", 0));
  await placeOrders(PORT, 25);
  say(`25 orders placed over HTTP; the shop's database holds ${await countOrders(PORT)}`);
}

async function migration(): Promise<void> {
  heading("version 2: a data migration, while requests keep coming");
  await editProject(join(root, "recipes", "shop"), place.directory, "2-totals", "shop: orders have totals");
  await demo.act("build and test version 2", "green", () => type(place, "ostler ci shop.recipe", 0));
  await type(place, "ostler promote shop --to production --version 2.0.0 --set greeting=welcome", 0);
  const load = await demo.act("switch 1 → 2 under load", "no request lost", () =>
    underLoad(PORT, () => type(place, "ostler deploy shop", 0)),
  );
  say(load);
}

async function redVersion(): Promise<void> {
  heading("version 3: its own test fails, so it is red and goes nowhere");
  await editProject(join(root, "recipes", "shop"), place.directory, "3-red", "shop: discounts");
  await demo.act("build and test version 3", "red", () => type(place, "ostler ci shop.recipe", 1));
  await type(place, "ostler promote shop --to production --version 3.0.0", 3);
  await revertProject(place.directory);
}

async function sickVersion(): Promise<void> {
  heading("version 4: green, but it turns sick on the node, and is taken back by itself");
  await editProject(join(root, "recipes", "shop"), place.directory, "4-sick", "shop: connection pool");
  await demo.act("build and test version 4", "green", () => type(place, "ostler ci shop.recipe", 0));
  await type(place, "ostler promote shop --to production --version 4.0.0 --set greeting=welcome", 0);
  const before = await countOrders(PORT);
  const load = await demo.act("switch 2 → 4 and back under load", "reverted, no request lost", () =>
    underLoad(PORT, () => type(place, "ostler deploy shop", 1)),
  );
  say(load);
  const after = await countOrders(PORT);
  if (after <= before) throw new Error(`expected the orders made meanwhile to be kept, found ${after} after ${before}`);
  say(`${after - before} orders made meanwhile are kept: binaries went back, data did not`);
}

async function takeDataBack(): Promise<void> {
  heading("the data too, on request: back to the snapshot before version 4");
  await type(place, "hostd snapshot list shop", 0);
  const { snapshots } = await ask<{ snapshots: { id: string }[] }>(place, ["hostd", "snapshot", "list", "shop"]);
  const newest = snapshots[0]?.id ?? "";
  const before = await countOrders(PORT);
  await demo.act("data taken back", "version 2 goes on", () => type(place, `hostd snapshot restore shop ${newest}`, 0));
  const after = await countOrders(PORT);
  if (after >= before) throw new Error(`expected fewer orders than ${before} after the restore, found ${after}`);
  say(
    `${before} orders before, ${after} in the snapshot; version 2 keeps running, and the newer data is a snapshot too`,
  );
}

async function untilThere(path: string): Promise<void> {
  for (let attempt = 0; !existsSync(path); attempt += 1) {
    if (attempt === 100) throw new Error(`expected ${path} within 10 s, found nothing`);
    await sleep(100);
  }
}

async function expectFreePort(): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      const hint = "stop what listens there and start the demo again";
      reject(new Failure("failed", "port-in-use", `port ${PORT}, where the shop listens, is in use`, { hint, cause }));
    });
    server.listen(PORT, resolve);
  });
  await new Promise((resolve) => server.close(resolve));
}
