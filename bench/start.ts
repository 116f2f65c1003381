import { type Rig, withRig } from "../test/hostd/rig.ts";
import type { Bundle } from "./bundle.ts";
import { median } from "./measure.ts";

/** Operations begun at once while the node is filled. */
const AT_ONCE = 4;
const ROUNDS = 3;

/** Below those that the kernel gives to whoever asks for any. */
const FIRST_PORT = 20_000;
const LIMIT = 600_000;

/** How long hostd takes from its start to its first answer on a node full of apps: while they run, and after a reboot. */
export async function benchStart({ hostd }: Bundle, count: number): Promise<string> {
  const lines: string[] = [];
  await withRig(
    async (rig) => {
      lines.push(`no app: ${(await startAgain(rig)).toFixed(0)} ms`);
      await fill(rig, count);
      const adopted: number[] = [];
      for (let round = 0; round < ROUNDS; round++) adopted.push(await startAgain(rig));
      lines.push(`${count} apps that run: ${median(adopted).toFixed(0)} ms`);
      await rig.reboot();
      lines.push(`${count} apps after a reboot: ${(await startAndTime(rig)).toFixed(0)} ms`);
    },
    { program: hostd },
  );
  return lines.join("\n");
}

/** Each its own app with its own port; all of one image's layers. */
async function fill(rig: Rig, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `app-${index + 1}`);
  for (const [index, name] of names.entries()) {
    await rig.publish({ name, version: "1.0.0", stable: 0, interval: 10_000, port: FIRST_PORT + index });
  }
  await inGroups(names, AT_ONCE, async (name) => {
    const begun = await rig.client.begin(name, "deploy", {});
    const { state, reason } = await rig.client.wait(begun, () => {}, AbortSignal.timeout(LIMIT));
    if (state !== "done") throw new Error(`${name}: ${reason?.message}`);
  });
}

async function startAgain(rig: Rig): Promise<number> {
  if (rig.pid() !== 0) await rig.stop();
  return await startAndTime(rig);
}

/** Until hostd says that it is ready: from then on it answers. */
async function startAndTime(rig: Rig): Promise<number> {
  const began = Date.now();
  await rig.start({ within: LIMIT });
  const ready =
    rig
      .log()
      .split("\n")
      .findLast((line) => line.includes('"message":"ready"')) ?? "{}";
  return Date.parse((JSON.parse(ready) as { at: string }).at) - began;
}

async function inGroups<T>(items: readonly T[], size: number, work: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += size) await Promise.all(items.slice(at, at + size).map(work));
}
