import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { TEMPORARY_NAME } from "../../effects/durable.ts";
import type { OperationDocument } from "../../manifests/node.ts";
import type { HostVersion } from "./host-publisher.ts";
import type { HostRig } from "./host-rig.ts";
import { eventually, unlessRefused } from "./rig.ts";

/** Two good versions of the host, the second of which runs, and an app that runs on it. */
export async function prepareHost(host: HostRig): Promise<HostVersion[]> {
  await host.rig.publish({ version: "1.0.0", stable: 100 });
  const app = await host.rig.operate("deploy");
  const second = await host.publishHost({ version: "2.0.0" });
  const upgraded = await host.upgrade("deploy");
  for (const { state, reason } of [app, upgraded])
    if (state !== "done") throw new Error(`expected done: ${reason?.message}`);
  return [host.first, second];
}

/** `kill`: hostd alone, which its service manager starts again; `power cut`: the machine, and what was not on its disks. */
export interface Strike {
  point: string;
  fault: "kill" | "power cut";
  target: HostVersion;
}

/** Milliseconds that an upgrade may take to the moment that it is struck at, reboots included. */
const REACHED_WITHIN = 60_000;

/**
 * Begins an upgrade, strikes once at the moment, in whichever system that is, and follows the upgrade to its end. One
 * that is refused, or over, before the moment was reached, is an error that says how.
 */
export async function strike(host: HostRig, { point, fault, target }: Strike): Promise<OperationDocument> {
  const { rig } = host;
  await rig.kill();
  await rig.start({ fault: point });
  const newest = async () => (await rig.client.changes({ app: "host", limit: 1 })).changes[0];
  const before = (await newest())?.id;
  await rig.client.begin("host", "activate", { image: target.image }).catch(unlessRefused);
  const limit = Date.now() + REACHED_WITHIN;
  for (let struck = watchEnd(host); !struck.ended; await delay(20)) {
    if (await host.act()) {
      await rig.start({ fault: point });
      struck = watchEnd(host);
    }
    const last = await newest().catch(() => undefined); // struck before it answers
    const isOver = last?.finished !== undefined && last.id !== before;
    if (isOver || Date.now() > limit) throw new Error(`${point} was not reached: ${JSON.stringify(last)}`);
  }
  mustBoot(host, point);
  if (fault === "power cut") await host.reset({ cut: true });
  else await rig.start();
  const operation = await newest();
  if (operation === undefined || operation.id === before) throw new Error(`${point}: the upgrade left no trace`);
  return await host.finish(operation.id);
}

/** Tells when hostd ended by itself: the fault was reached. */
function watchEnd({ rig }: HostRig): { ended: boolean } {
  const watched = { ended: false };
  void rig.ended().then(() => {
    watched.ended = true;
  });
  return watched;
}

/** At any moment the loader's default boots a proven system. */
function mustBoot({ firmware, rig }: HostRig, when: string): void {
  const root = firmware.defaultRoot();
  const lists = readdirSync(join(rig.state, "host/roots"));
  if (!lists.includes(root)) throw new Error(`${when}: the default boots ${root}, whose list is gone`);
}

/** What is wrong with a host at rest that should run this version, in words; nothing, whatever was done to it before. */
export async function wrongWithHost(host: HostRig, expected: HostVersion): Promise<string[]> {
  const { rig, firmware } = host;
  const status = await eventually(
    () => rig.client.status(),
    ({ apps }) => apps.every(({ health, operations }) => health === "healthy" && operations.length === 0),
    30_000,
  );
  const system = status.host;
  const said = (wrong: boolean, text: string) => (wrong ? [text] : []);
  const good = readFileSync(join(rig.state, "host/good"), "utf8").trim();
  const proven =
    status.apps.find(({ app }) => app === "host")?.slots.filter(({ lastGood }) => lastGood !== undefined) ?? [];
  const entries = system?.entries ?? [];
  const temporary = readdirSync(rig.state, { recursive: true, encoding: "utf8" })
    .concat(readdirSync(firmware.esp, { recursive: true, encoding: "utf8" }))
    .filter((path) => TEMPORARY_NAME.test(path.slice(path.lastIndexOf("/") + 1)) || /\.(?:making|gone)$/.test(path));
  const once = readdirSync(join(firmware.machine, "sys/firmware/efi/efivars"));
  return [
    ...said(
      system?.booted.root !== expected.root || system.booted.as !== "good",
      `${JSON.stringify(system?.booted)} runs`,
    ),
    ...said(good !== expected.root, `host/good is ${good}`),
    ...said(firmware.defaultRoot() !== expected.root, `the default boots ${firmware.defaultRoot()}`),
    ...said(entries.length !== proven.length, `${entries.length} entries for ${proven.length} proven versions`),
    ...entries.filter(({ tries }) => tries !== undefined).map(({ name }) => `${name} has tries`),
    ...said(existsSync(join(rig.state, "host/trial")), "host/trial is there"),
    ...once.map((name) => `${name} is set`),
    ...temporary.map((path) => `left over: ${path}`),
    ...said((await rig.get("/version")) !== "1.0.0", "the app does not answer"),
  ];
}
