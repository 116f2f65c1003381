import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { OperationDocument } from "../../manifests/node.ts";
import { eventually, type Rig, unlessRefused } from "./rig.ts";
import { processesOf } from "./whole.ts";

/** Version names hold the rig's port, so that its processes can be told from those of other tests. */
export function versionOf(rig: Rig, number: number): string {
  return `${number}.0.0-${rig.port}`;
}

export async function write(rig: Rig): Promise<string> {
  const number = await rig.record();
  return `${number} by ${await rig.get("/version")}`;
}

/** The process of the app; throws where none runs: a signal to pid 0 reaches whoever runs the tests. */
export async function appPid(rig: Rig): Promise<number> {
  const { process } = await rig.client.app("shop");
  if (process === undefined) throw new Error("expected the app to run");
  return process.pid;
}

/** Starts the daemon with a fault, begins the operation, and waits until the fault has killed it. */
export async function crash(rig: Rig, kind: string, fault: string, number: number): Promise<void> {
  await rig.kill();
  await rig.start({ fault });
  const requestId = `${fault}-${number}`;
  await rig.client.begin("shop", kind, { requestId }).catch(unlessRefused);
  await rig.ended();
}

/**
 * Starts the daemon again and answers the operation it found unfinished, once that has ended: the newest one, or that of
 * a request, where hostd may begin another by itself.
 */
export async function restartAndWait(rig: Rig, requestId?: string): Promise<OperationDocument> {
  await rig.start();
  const find = async () => {
    const { changes } = await rig.client.changes({ app: "shop", limit: 5 });
    return requestId === undefined ? changes[0] : changes.find((operation) => operation.requestId === requestId);
  };
  if ((await find()) === undefined) throw new Error(`expected operation ${requestId} in the journal, it is lost`);
  const ended = await eventually(find, (operation) => operation?.finished !== undefined);
  if (ended === undefined) throw new Error("expected an operation");
  return ended;
}

/** One generation runs, in one process, healthy, with every record it ever acknowledged, and nothing is left over. */
export async function expectWhole(rig: Rig, name: string, expected: object | undefined, written: readonly string[]) {
  const status = await eventually(
    () => rig.client.app("shop"),
    (app) => app.health === "healthy",
  );
  expect({ name, current: status.current }).toMatchObject({ name, current: expected });
  expect(await rig.get("/version")).toBe(status.current?.version);
  expect({ name, processes: processesOf(rig) }).toEqual({ name, processes: [status.current?.version] });
  expect(await rig.records()).toEqual(written);
  expect(status.operations).toEqual([]);
  expect(status.slots.filter(({ state }) => state === "trial")).toEqual([]);
  expect(readdirSync(join(rig.state, "parts"))).toEqual([]);
  expect(readdirSync(join(rig.state, "failures")).filter((file) => !/^\d+\.json$/.test(file))).toEqual([]);
}
