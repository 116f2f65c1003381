import { table } from "../terminal/table.ts";
import { type Rig, withRig } from "../test/hostd/rig.ts";
import { describeLoad, findLostOrders, type LoadReport, startLoad } from "../test/load.ts";
import { median } from "./measure.ts";

const CLIENTS = 8;

/** Switches of the shop back and forth under load, in both orders, with connections of both kinds: nothing may be lost. */
export async function benchSwitches(count: number): Promise<string> {
  const rows: string[][] = [];
  for (const startFirst of [false, true]) {
    for (const kind of ["fresh", "keep-alive"] as const) {
      const { report, lost, took } = await switchUnderLoad(count, startFirst, kind);
      const order = startFirst ? "start-first" : "stop-first";
      console.log(`${count} switches, ${order}, ${kind}: ${describeLoad(report)}, ${lost} orders lost`);
      const { ok, sent, maxGapMs, maxLatencyMs } = report;
      rows.push([order, kind, ...[ok, sent - ok, lost, maxGapMs, maxLatencyMs, median(took)].map((n) => n.toFixed(0))]);
    }
  }
  return table(["order", "connections", "ok", "failed", "lost", "gap ms", "longest ms", "switch ms"], rows);
}

export interface SwitchReport {
  report: LoadReport;
  /** Orders that were acknowledged and are not there. */
  lost: number;
  /** Milliseconds of each switch, the old version's drain in it. */
  took: number[];
}

export async function switchUnderLoad(
  count: number,
  startFirst: boolean,
  kind: "fresh" | "keep-alive",
): Promise<SwitchReport> {
  let result: SwitchReport | undefined;
  await withRig(async (rig) => {
    await rig.start();
    for (const version of ["1.0.0", "1.1.0"]) {
      await rig.publish({ version, shop: true, startFirst, stable: 0, within: 20_000 });
      await mustSucceed(rig, "deploy", {});
    }
    const ending = new AbortController();
    const load = startLoad({ port: rig.port, clients: CLIENTS, kind, until: ending.signal });
    const took: number[] = [];
    for (let n = 0; n < count; n++) {
      const { slots, current } = await rig.client.app("shop");
      const image = slots.find((slot) => slot.image !== current?.image)?.image;
      const began = performance.now();
      await mustSucceed(rig, "activate", { image });
      took.push(performance.now() - began);
    }
    ending.abort();
    const report = await load;
    const lost = (await findLostOrders(rig.port, report.acknowledged)).length;
    result = { report, lost, took };
  });
  if (result === undefined) throw new Error("expected a report");
  return result;
}

async function mustSucceed(rig: Rig, verb: string, body: Record<string, unknown>): Promise<void> {
  const { state, reason } = await rig.operate(verb, body);
  if (state !== "done") throw new Error(`${verb}: ${reason?.message}`);
}
