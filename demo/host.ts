import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../effects/process.ts";
import { bootMachine, type Machine } from "../test/vm/machine.ts";
import { heading, type Place, say, type } from "./console.ts";
import { makeKey, type Reach, reachNode } from "./node.ts";
import { openPlay } from "./play.ts";
import { editProject, openProject } from "./project.ts";
import { countOrders, placeOrders } from "./traffic.ts";

// The night from end to end, on a real machine in QEMU: a host is made, upgrades itself to a good version, then to one
// that panics, takes itself back, and is laid down again when everything on it is destroyed. Public commands only.

const root = join(import.meta.dirname, "..");
const directory = join(root, ".ostler", "demo-host");
const recipes = join(root, "recipes");
const project = join(directory, "host");
const shop = join(directory, "shop");
const demo = openPlay(directory);
const environment = { PATH: `${join(root, "bin")}:${process.env["PATH"]}`, OSTLER_HOME: join(directory, "home") };
const place: Place = { directory: project, interrupted: demo.interrupted, environment };
const inShop: Place = { ...place, directory: shop };

await demo.play(story, `the machine's console is ${join(root, ".ostler", "vm", "demo.log")}`);

async function story(): Promise<void> {
  await prepare();
  await firstHost();
  const disk = join(directory, "node-1.img");
  const machine = await bootMachine({ name: "demo", disk, sshKey: join(directory, "key") });
  const node = await reachNode(directory, machine.sshPort);
  try {
    await firstBoot(machine);
    await firstApp(node);
    await goodUpgrade(machine, node);
    await badUpgrade(machine, node);
    await recovery(machine, node);
    heading("what happened, as the node tells it");
    await onNode("hostd changes");
    await onNode("hostd status");
  } finally {
    await node.close();
    await machine.powerCut();
  }
}

async function prepare(): Promise<void> {
  heading("two projects and their keys");
  say("the host, a Debian with a kernel, sshd, QEMU and hostd; and a small shop that will run on it");
  await openProject(recipes, "host", project, () =>
    run([process.execPath, "bundle.ts", join(project, "dist")], { cwd: root }),
  );
  await openProject(recipes, "shop", shop, giveTime);
  await run(["rm", "-rf", ...["keys", "repository", "store", "trust"].map((part) => join(directory, "home", part))]);
  process.stdout.write(
    `$ cd ${project}\n$ export PATH=${join(root, "bin")}:$PATH OSTLER_HOME=${environment.OSTLER_HOME}\n`,
  );
  await type(place, "ostler keys init", 0);
}

/** An emulated machine is slow: the shop's HEALTH has more time there than its recipe gives it. */
async function giveTime(): Promise<void> {
  const file = join(shop, "shop.recipe");
  const text = await readFile(file, "utf8");
  await writeFile(
    file,
    text.replace(/^(HEALTH http\S+).*$/m, "$1 --interval=5s --timeout=20s --within=180s --stable=10s"),
  );
}

async function firstHost(): Promise<void> {
  heading("a host: built, booted in a throw-away machine, green, released, a disk made of it");
  await demo.act("build version 1 of the host", "host.recipe.lock", () => type(place, "ostler build host.recipe", 0));
  await type(place, "git add host.recipe.lock && git commit --quiet -m 'pin the base'", 0);
  await release(place, "host", "1.0.0", "boot it and test it in a throw-away machine");
  const key = await makeKey(directory);
  const identity = {
    schema: 1,
    hostName: "node-1",
    authorizedKeys: { root: [key] },
    repository: { address: "/var/lib/hostd/repository", channel: "production" },
  };
  await writeFile(join(directory, "node-1.json"), `${JSON.stringify(identity, undefined, 2)}\n`);
  await rm(join(directory, "node-1.img.vars"), { force: true });
  await demo.act("make the disk of node-1", "bootable", () =>
    type(place, "ostler disk host --output ../node-1.img --size 12G --identity ../node-1.json", 0),
  );
}

async function firstBoot(machine: Machine): Promise<void> {
  heading("an empty machine starts from that disk");
  await demo.act("first boot, to hostd answering over SSH", "no step by hand", () =>
    machine.waitForSsh("hostd health", 600_000),
  );
  await onNode("hostd status");
}

async function firstApp(node: Reach): Promise<void> {
  heading("an app on it");
  await release(inShop, "shop", "1.0.0", "build and test the shop", "--set greeting=welcome");
  await demo.act("shop pushed and switched on", "running", () =>
    type(inShop, "ostler push shop --to node-1 --ssh-config ../ssh_config --activate", 0),
  );
  await node.open();
  await placeOrders(node.port, 10);
  say(`10 orders placed; the shop's database holds ${await countOrders(node.port)}`);
}

async function goodUpgrade(machine: Machine, node: Reach): Promise<void> {
  heading("version 2 of the host: good");
  await editProject(join(recipes, "host"), project, "2-swap", "host: machines stay in memory");
  await release(place, "host", "2.0.0", "build version 2 and boot it");
  const resets = machine.resets;
  await demo.act("upgrade 1 → 2, confirmed over a new connection", "blessed", () => pushHost(0));
  await onNode("sysctl vm.swappiness");
  await node.open();
  say(`${machine.resets - resets} reset; the shop's database holds ${await countOrders(node.port)} orders`);
}

async function badUpgrade(machine: Machine, node: Reach): Promise<void> {
  heading("version 3 of the host: green, and it panics on this node");
  await editProject(join(recipes, "host"), project, "3-panics", "host: offload of flows");
  await release(place, "host", "3.0.0", "build version 3 and boot it");
  const resets = machine.resets;
  await demo.act("upgrade 2 → 3 and back, nobody at hand", "reverted", () => pushHost(1));
  await node.open();
  say(`${machine.resets - resets} resets; the shop's database holds ${await countOrders(node.port)} orders`);
  const { changes } = await askNode<{ changes: { id: number }[] }>("hostd changes host --limit 1 --json");
  await onNode(`hostd failure ${changes[0]?.id} --no-json | head -n 60`);
}

async function recovery(machine: Machine, node: Reach): Promise<void> {
  heading("every version of the host destroyed: its list and all its layers are deleted, and the power goes");
  const before = await countOrders(node.port);
  const { image: second } = (await askNode<{ current: { image: string } }>("hostd status host --json")).current;
  const layers = 'for layer in $(cut -d " " -f 1 host/roots/*); do rm -f layers/$layer.erofs; done';
  await onNode(`cd /var/lib/hostd; ${layers}; rm host/roots/*; sync`);
  await machine.powerCut();
  await demo.act("start of the recovery system", "nothing bootable, waiting on port 22", async () => {
    machine.powerOn();
    await machine.console.waitFor("waiting on port 22", 600_000);
    await machine.waitForSsh("true", 120_000);
  });
  say("version 3 is the newest release, and this node has it in quarantine: version 2 is released again");
  await type(place, `ostler promote ${second} --to production --version 2.0.1`, 0);
  const inbox = "/var/lib/hostd/repository";
  await demo.act("known good image pushed, verified, laid down", "default again", async () => {
    const unpack = `mkdir -p ${inbox} && tar -x -C ${inbox}`;
    await type(place, `tar -C ../home/repository -c . | ssh -F ../ssh_config node-1 '${unpack}'`, 0);
    await onNode(`hostd recover ${inbox} && { (sleep 1; reboot -f) >/dev/null 2>&1 & }`);
  });
  await demo.act("back, with its data", "healthy", () => machine.waitForSsh("hostd health", 600_000));
  await node.open();
  const after = await countOrders(node.port);
  if (after !== before) throw new Error(`expected the ${before} orders to be kept, found ${after}`);
  say(`the shop's database holds ${after} orders, as before`);
}

function pushHost(expected: number): Promise<number> {
  return type(
    place,
    "ostler push host --to node-1 --ssh-config ../ssh_config --activate --confirm-within 600",
    expected,
  );
}

/** Tests, marks and releases what a project holds. */
async function release(where: Place, product: string, version: string, what: string, ...more: string[]): Promise<void> {
  await demo.act(what, "green", () => type(where, `ostler ci ${product}.recipe`, 0));
  await type(where, ["ostler", "promote", product, "--to production --version", version, ...more].join(" "), 0);
}

/** Types a command on the node; hostd's answers as a person reads them. */
function onNode(command: string): Promise<number> {
  const shown = command.replace(/^(hostd (?:status|changes).*)$/, "$1 --no-json");
  return type(place, `ssh -F ../ssh_config node-1 '${shown}'`, 0);
}

async function askNode<T>(command: string): Promise<T> {
  const { stdout } = await run(["ssh", "-F", join(directory, "ssh_config"), "node-1", command]);
  return JSON.parse(stdout) as T;
}
