import { findLostOrders, type LoadReport, startLoad } from "../load.ts";
import { type Rig, withRig } from "./rig.ts";

const KINDS = ["fresh", "keep-alive"] as const;
/** Of each kind. */
const CLIENTS = 4;

export interface SwitchReport {
  /** By the kind of connections. */
  reports: { kind: (typeof KINDS)[number]; report: LoadReport }[];
  /** Orders that were acknowledged and are not there. */
  lost: number;
  /** Milliseconds of each switch, the old version's drain in it. */
  took: number[];
}

/** Switches the shop of recipes/ from one version to the other and back, under load of both kinds at once. */
export async function switchUnderLoad(count: number, startFirst: boolean): Promise<SwitchReport> {
  let result: SwitchReport | undefined;
  await withRig(async (rig) => {
    await rig.start();
    for (const version of ["1.0.0", "1.1.0"]) {
      await rig.publish({ version, shop: true, startFirst, stable: 0, within: 20_000 });
      await mustSucceed(rig, "deploy", {});
    }
    const ending = new AbortController();
    const loads = KINDS.map(async (kind) => {
      return { kind, report: await startLoad({ port: rig.port, clients: CLIENTS, kind, until: ending.signal }) };
    });
    const took: number[] = [];
    for (let n = 0; n < count; n++) {
      const { slots, current } = await rig.client.app("shop");
      const image = slots.find((slot) => slot.image !== current?.image)?.image;
      const began = performance.now();
      await mustSucceed(rig, "activate", { image });
      took.push(performance.now() - began);
    }
    ending.abort();
    const reports = await Promise.all(loads);
    const acknowledged = reports.flatMap(({ report }) => report.acknowledged);
    result = { reports, lost: (await findLostOrders(rig.port, acknowledged)).length, took };
  });
  if (result === undefined) throw new Error("expected a report");
  return result;
}

async function mustSucceed(rig: Rig, verb: string, body: Record<string, unknown>): Promise<void> {
  const { state, reason } = await rig.operate(verb, body);
  if (state !== "done") throw new Error(`${verb}: ${reason?.message}`);
}
