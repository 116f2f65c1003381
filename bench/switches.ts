import { table } from "../terminal/table.ts";
import { switchUnderLoad } from "../test/hostd/switches.ts";
import { describeLoad } from "../test/load.ts";
import { median } from "./measure.ts";

/** Switches of the shop back and forth under load, in both orders, with connections of both kinds: nothing may be lost. */
export async function benchSwitches(count: number): Promise<string> {
  const rows: string[][] = [];
  for (const order of ["stop-first", "start-first"]) {
    const { reports, lost, took } = await switchUnderLoad(count, order === "start-first");
    for (const { kind, report } of reports) {
      console.log(`${count} switches, ${order}, ${kind}: ${describeLoad(report)}`);
      const { ok, sent, maxGapMs, maxLatencyMs } = report;
      rows.push([order, kind, ...[ok, sent - ok, lost, maxGapMs, maxLatencyMs, median(took)].map((n) => n.toFixed(0))]);
    }
  }
  return table(["order", "connections", "ok", "failed", "lost", "gap ms", "longest ms", "switch ms"], rows);
}
