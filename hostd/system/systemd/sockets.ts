import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import * as z from "zod";
import { unlessMissing } from "../../../effects/errno.ts";
import { type Listen, listenSchema } from "../../../manifests/app.ts";
import { NodeError } from "../failure.ts";
import type { Paths } from "../paths.ts";
import { portInUse, whoListens } from "../port.ts";
import { forgetUnits, startUnit, stopUnit, writeUnit } from "./systemctl.ts";
import { holdUnit, socketUnit, UNIT_DIRECTORY, type UnitNames } from "./units.ts";

const listSchema = z.array(listenSchema);

/** The sockets of an app in the order it gets them; undefined before the first openSockets. */
export async function socketsOf(paths: Paths, app: string): Promise<Listen[] | undefined> {
  const text = await unlessMissing(readFile(listFile(paths, app), "utf8"));
  return text === undefined ? undefined : listSchema.parse(JSON.parse(text));
}

/**
 * Makes the app's socket units exactly these. New ones are opened before old ones are closed, and a kept one is not
 * touched; only another address on the same port must let go first. If one fails, the earlier ones are open again.
 */
export async function openSockets(paths: Paths, names: UnitNames, app: string, wanted: readonly Listen[]) {
  for (const listen of wanted) checkAddress(app, listen);
  const before = (await socketsOf(paths, app)) ?? [];
  const peaceful = before.filter((old) => !wanted.some((one) => one.port === old.port && one.address !== old.address));
  await closeSocketsBut(names, [...peaceful, ...wanted], before);
  for (const listen of wanted) {
    if (await openSocket(names, app, listen)) continue;
    const who = await whoListens(listen.port);
    await closeSocketsBut(names, before, wanted);
    for (const old of before) await openSocket(names, app, old);
    throw portInUse(app, listen, who);
  }
  const file = listFile(paths, app);
  await writeFile(`${file}.new`, JSON.stringify(wanted));
  await rename(`${file}.new`, file);
  await closeSocketsBut(names, wanted, before);
}

/** Stops every unit of an app, its sockets among them, and forgets them all. */
export async function removeUnits(names: UnitNames): Promise<void> {
  await stopUnit(names.all);
  await forgetUnits(names.all);
  for (const file of (await readdir(UNIT_DIRECTORY)).filter(names.isOwn)) await rm(join(UNIT_DIRECTORY, file));
}

/** False where the address could not be bound. One that is open already stays as it is. */
async function openSocket(names: UnitNames, app: string, listen: Listen): Promise<boolean> {
  const [socket, hold] = [names.socket(listen), names.hold(listen)];
  if ((await unlessMissing(readFile(join(UNIT_DIRECTORY, socket)))) === undefined) {
    await stopUnit(socket, hold); // systemd may hold what lost its file, with no socket behind it
    await forgetUnits(names.all);
  }
  await writeUnit(hold, holdUnit(app, listen, names));
  await writeUnit(socket, socketUnit(app, listen, names));
  return (await startUnit(socket)) === undefined;
}

/** Closes what is open besides these: what is known, and what a killed hostd left without a word. */
async function closeSocketsBut(names: UnitNames, kept: readonly Listen[], known: readonly Listen[]): Promise<void> {
  const found = (await readdir(UNIT_DIRECTORY)).filter((file) => names.isOwn(file) && file.endsWith(".socket"));
  for (const socket of new Set([...known.map(names.socket), ...found])) {
    if (kept.some((listen) => names.socket(listen) === socket)) continue;
    await stopUnit(socket);
    await rm(join(UNIT_DIRECTORY, socket), { force: true });
    await rm(join(UNIT_DIRECTORY, socket.replace(/\.socket$/, ".service")), { force: true });
  }
}

function checkAddress(app: string, { address, port }: Listen): void {
  if (isIP(address) !== 0) return;
  throw new NodeError("holder-failed", `${app}: ${address} ${port} Invalid argument`, {
    hint: "LISTEN takes an IP address",
  });
}

function listFile(paths: Paths, app: string): string {
  return join(paths.appRun(app), "sockets.json");
}
