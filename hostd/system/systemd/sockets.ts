import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import * as z from "zod";
import { unlessMissing } from "../../../effects/errno.ts";
import { type Listen, listenSchema } from "../../../manifests/app.ts";
import { NodeError } from "../failure.ts";
import type { Paths } from "../paths.ts";
import { portInUse, whoListens } from "../port.ts";
import { startUnits, stopUnits } from "./systemctl.ts";
import { holdUnit, socketUnit, UNIT_DIRECTORY, type UnitNames } from "./units.ts";

const listSchema = z.array(listenSchema);

/** The sockets of an app in the order it gets them; undefined before the first openSockets. */
export async function socketsOf(paths: Paths, app: string): Promise<Listen[] | undefined> {
  const text = await unlessMissing(readFile(listFile(paths, app), "utf8"));
  return text === undefined ? undefined : listSchema.parse(JSON.parse(text));
}

/**
 * Makes the app's socket units exactly these. New ones are opened before old ones are closed, and a kept one is not
 * touched; only another address on the same port must let go first, and gets its port back if that fails.
 */
export async function openSockets(paths: Paths, names: UnitNames, app: string, wanted: readonly Listen[]) {
  for (const listen of wanted) checkAddress(app, listen);
  const before = (await socketsOf(paths, app)) ?? [];
  const opened: Listen[] = [];
  for (const listen of wanted) {
    const rivals = before.filter(({ port, address }) => port === listen.port && address !== listen.address);
    await closeSockets(
      names,
      rivals.filter((rival) => !wanted.some((one) => isSame(one, rival))),
    );
    if (await openSocket(names, app, listen)) {
      opened.push(listen);
      continue;
    }
    const who = await whoListens(listen.port);
    await closeSockets(
      names,
      opened.filter((one) => !before.some((old) => isSame(one, old))),
    );
    for (const rival of rivals) await openSocket(names, app, rival);
    throw portInUse(app, listen, who);
  }
  await writeFile(listFile(paths, app), JSON.stringify(wanted));
  await closeSockets(
    names,
    before.filter((old) => !wanted.some((one) => isSame(one, old))),
  );
}

/** Closes every socket of an app, known or left over, and forgets all its units; none of its services runs. */
export async function removeUnits(names: UnitNames): Promise<void> {
  const files = (await readdir(UNIT_DIRECTORY)).filter(names.isOwn);
  await stopUnits(files.filter((file) => file.endsWith(".socket")));
  for (const file of files) await rm(join(UNIT_DIRECTORY, file), { force: true });
}

/** False where the address could not be bound. One that is open already stays as it is. */
async function openSocket(names: UnitNames, app: string, listen: Listen): Promise<boolean> {
  await writeFile(join(UNIT_DIRECTORY, names.hold(listen)), holdUnit(app, listen, names));
  await writeFile(join(UNIT_DIRECTORY, names.socket(listen)), socketUnit(app, listen, names));
  return (await startUnits([names.socket(listen)])) === undefined;
}

async function closeSockets(names: UnitNames, sockets: readonly Listen[]): Promise<void> {
  const files = await readdir(UNIT_DIRECTORY);
  const known = sockets.filter((listen) => files.includes(names.socket(listen)));
  await stopUnits(known.map(names.socket));
  for (const unit of known.flatMap((listen) => [names.socket(listen), names.hold(listen)])) {
    await rm(join(UNIT_DIRECTORY, unit), { force: true });
  }
}

function checkAddress(app: string, { address, port }: Listen): void {
  if (isIP(address) !== 0) return;
  throw new NodeError("holder-failed", `${app}: ${address} ${port} Invalid argument`, {
    hint: "LISTEN takes an IP address",
  });
}

function isSame(one: Listen, other: Listen): boolean {
  return one.port === other.port && one.address === other.address;
}

function listFile(paths: Paths, app: string): string {
  return join(paths.appRun(app), "sockets.json");
}
