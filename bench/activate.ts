import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { run } from "../effects/process.ts";
import { canConnect } from "../hostd/system/connect.ts";
import type { OperationDocument } from "../manifests/node.ts";
import { table } from "../terminal/table.ts";
import { SERVER } from "../test/hostd/app.ts";
import { type Rig, withRig } from "../test/hostd/rig.ts";
import type { Bundle } from "./bundle.ts";
import { median } from "./measure.ts";

/** MB of an image besides its 10 MB of Perl. */
const SIZES: Readonly<Record<"stop-first" | "start-first", readonly number[]>> = {
  "stop-first": [0, 200, 1_000, 4_000],
  "start-first": [0, 1_000],
};
const ROUNDS = 11;
const IDLE_MS = 10_000;

/** What an app needs by itself, with nobody around it: milliseconds until it answers, and until it has ended. */
interface Own {
  start: number;
  stop: number;
}

/**
 * How long a switch and a rollback take, from the request to the commit, over the size of the image; with what the app
 * itself needs taken off. Then where the time goes, step by step, and what an idle hostd costs.
 */
export async function benchActivate({ hostd }: Bundle): Promise<string> {
  const own = await measureOwn();
  const parts: string[] = [`the app by itself: start ${own.start.toFixed(0)} ms, stop ${own.stop.toFixed(0)} ms`];
  const rows: string[][] = [];
  for (const order of ["stop-first", "start-first"] as const) {
    for (const size of SIZES[order]) {
      await withRig(
        async (rig) => {
          const { activations, rollbacks, operation } = await measureRig(rig, size, order === "start-first");
          const [there, back] = [median(activations), median(rollbacks)];
          const ours = [there, back].map((took) => (took - own.start - own.stop).toFixed(0));
          rows.push([order, `${size + 10} MB`, there.toFixed(0), back.toFixed(0), ...ours]);
          if (size === 0) parts.push(`${order}, step by step: ${describeSteps(operation)}`);
          if (size === 0 && order === "stop-first") parts.push(await describeIdle(rig));
        },
        { program: hostd },
      );
    }
  }
  const head = ["order", "image", "switch ms", "rollback ms", "less the app", "less the app"];
  return [table(head, rows), ...parts].join("\n");
}

async function measureRig(rig: Rig, size: number, startFirst: boolean) {
  await rig.start();
  const bulk = size === 0 ? {} : { bulk: size };
  for (const version of ["1.0.0", "1.1.0"]) {
    await rig.publish({ version, startFirst, stable: 0, interval: 1_000, ...bulk });
    await timed(rig, "deploy", {}, 600_000);
  }
  await run(["sync"]); // what was written to make the image is not the switch's own
  const activations: number[] = [];
  const rollbacks: number[] = [];
  let last: OperationDocument | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const forward = await timed(rig, "activate", { image: await other(rig) });
    activations.push(forward.took);
    last = forward.operation;
    rollbacks.push((await timed(rig, "rollback", { to: await other(rig) })).took);
    const { quarantine } = await rig.client.status();
    for (const { image } of quarantine) await rig.client.release(image);
  }
  if (last === undefined) throw new Error("expected a switch");
  return { activations, rollbacks, operation: last };
}

async function other(rig: Rig): Promise<string> {
  const { slots, current } = await rig.client.app("shop");
  return slots.find(({ image }) => image !== current?.image)?.image ?? "";
}

async function timed(rig: Rig, verb: string, body: Record<string, unknown>, limit = 60_000) {
  const began = performance.now();
  const begun = await rig.client.begin("shop", verb, body);
  const operation = await rig.client.wait(begun, () => {}, AbortSignal.timeout(limit));
  if (operation.state !== "done") throw new Error(`${verb}: ${operation.reason?.message}`);
  return { took: performance.now() - began, operation };
}

function describeSteps({ steps }: OperationDocument): string {
  return steps
    .flatMap(({ name, started, done }) =>
      started === undefined || done === undefined ? [] : [`${name} ${Date.parse(done) - Date.parse(started)}`],
    )
    .join(", ");
}

/** The app under test outside of any sandbox, started and ended as often. */
async function measureOwn(): Promise<Own> {
  const directory = mkdtempSync(join(tmpdir(), "own-"));
  const program = join(directory, "server.pl");
  writeFileSync(program, SERVER);
  const [starts, stops]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    const port = 40_000 + round;
    const began = performance.now();
    const child = spawn("perl", [program, "1", "good", "", String(port)], { stdio: "ignore" });
    while (!(await canConnect({ host: "127.0.0.1", port }, 1_000))) await delay(1);
    starts.push(performance.now() - began);
    await delay(50);
    const asked = performance.now();
    child.kill("SIGTERM");
    await once(child, "exit");
    stops.push(performance.now() - asked);
  }
  rmSync(directory, { recursive: true });
  return { start: median(starts), stop: median(stops) };
}

async function describeIdle(rig: Rig): Promise<string> {
  const { pid } = (await rig.client.status()).hostd;
  const before = { ...wakeUps(pid), cpu: cpuOf(pid) };
  await delay(IDLE_MS);
  const after = { ...wakeUps(pid), cpu: cpuOf(pid) };
  const rss = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_000;
  const main = (after.main - before.main) / (IDLE_MS / 1_000);
  const all = (after.all - before.all) / (IDLE_MS / 1_000);
  const cpu = ((after.cpu - before.cpu) / (IDLE_MS / 1_000)).toFixed(2);
  return `idle, one app checked each second: ${main.toFixed(1)} wake-ups a second (${all.toFixed(1)} in all threads), ${cpu} % cpu, ${rss.toFixed(0)} MB`;
}

function wakeUps(pid: number): { main: number; all: number } {
  const threads = readdirSync(`/proc/${pid}/task`).map((task) => {
    const text = readFileSync(`/proc/${pid}/task/${task}/status`, "utf8");
    return { task, switches: Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1]) };
  });
  const main = threads.find(({ task }) => Number(task) === pid)?.switches ?? 0;
  return { main, all: threads.reduce((sum, { switches }) => sum + switches, 0) };
}

/** Hundredths of a second of processor time (proc(5), fields 14 and 15 of stat). */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
