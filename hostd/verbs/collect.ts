import type { CollectDocument } from "../../manifests/collect.ts";
import { bytes } from "../../terminal/table.ts";
import type { Verb } from "../../terminal/verb.ts";
import { clientOf, SOCKET_OPTION } from "./answer.ts";
import { showApp } from "./show.ts";

export const verb: Verb = {
  name: "collect",
  summary: "everything a centre polls of a node, in one document",
  options: [SOCKET_OPTION],
  examples: ["hostd collect --json"],
  async run(invocation) {
    const document = await clientOf(invocation).collect();
    return { json: document, text: showCollected(document) };
  },
};

function showCollected({ machine, hostd, health, apps, quarantine }: CollectDocument): string {
  const { disk, memory } = machine;
  const head = [
    `${machine.hostname}: ${health}, up ${duration(machine.uptime)}, ${machine.kernel} ${machine.arch}`,
    `  hostd   ${hostd.version}, up ${duration(hostd.uptime)}, ${bytes(hostd.memory)} of memory`,
    `  disk    ${bytes(disk.free)} of ${bytes(disk.total)} free at ${disk.path}`,
    `  memory  ${bytes(memory.free)} of ${bytes(memory.total)} free`,
    `  refused ${quarantine.length} quarantined images`,
  ].join("\n");
  const blocks = apps.map((app) => {
    const { lastUpdate, restarts } = app;
    const how =
      lastUpdate === undefined ? "none" : `${lastUpdate.kind} ${lastUpdate.version ?? ""}: ${outcomeOf(lastUpdate)}`;
    return `${showApp(app)}\n\n  last update: ${how}; restarts: ${restarts}`;
  });
  return [head, ...blocks].join("\n\n");
}

function outcomeOf({ state, reverted }: NonNullable<CollectDocument["apps"][number]["lastUpdate"]>): string {
  return reverted ? "failed and taken back" : state;
}

function duration(seconds: number): string {
  const units: [number, string][] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ];
  const [size, unit] = units.find(([size]) => seconds >= 2 * size) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}
