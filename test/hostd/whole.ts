import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { TEMPORARY_NAME } from "../../effects/durable.ts";
import { brokenEvent } from "../../hostd/journal/events.ts";
import type { EventDocument } from "../../manifests/event.ts";
import type { AppStatus, OperationDocument } from "../../manifests/node.ts";
import { eventually, type Rig } from "./rig.ts";

const HALF_MADE = /^\.(?:making-|live$)/;

/**
 * What is wrong with a node at rest, in words; nothing, whatever was done to it before: one generation runs, in one
 * process, healthy, with every record ever acknowledged; nothing is left over, and the history says what is so.
 */
export async function wrongWith(rig: Rig, acknowledged: readonly string[]): Promise<string[]> {
  const status = await settled(rig);
  const { changes } = await rig.client.changes({ app: "shop", limit: 20 });
  const records = await rig.records();
  return [
    ...wrongRuns(rig, status, await rig.get("/version")),
    ...wrongRecords(records, acknowledged),
    ...wrongHistory(status, changes),
    ...leftovers(rig, status),
  ];
}

/** What is wrong with the journal of a hostd that has ended. */
export function wrongJournal(rig: Rig): string[] {
  const database = new DatabaseSync(join(rig.state, "hostd.db"));
  try {
    const events = database.prepare("SELECT * FROM events ORDER BY id").all();
    const broken = brokenEvent(events.map(toEvent));
    const integrity = database.prepare("PRAGMA integrity_check").get()?.["integrity_check"];
    const locks = Number(database.prepare("SELECT count(*) AS n FROM locks").get()?.["n"]);
    const open = Number(
      database.prepare("SELECT count(*) AS n FROM operations WHERE finished_at IS NULL").get()?.["n"],
    );
    return [
      ...said(integrity !== "ok", `integrity of the journal: ${integrity}`),
      ...said(locks !== 0, `${locks} locks held by nobody`),
      ...said(open !== 0, `${open} operations without an end`),
      ...said(broken !== undefined, `the chain of events breaks at ${broken}`),
    ];
  } finally {
    database.close();
  }
}

async function settled(rig: Rig): Promise<AppStatus> {
  return await eventually(
    () => rig.client.app("shop"),
    ({ health, operations }) => health === "healthy" && operations.length === 0,
    30_000,
  );
}

function wrongRuns(rig: Rig, { current, slots }: AppStatus, answered: string): string[] {
  const processes = processesOf(rig);
  return [
    ...said(current?.state !== "good", `generation ${current?.number} is ${current?.state}, expected good`),
    ...said(answered !== current?.version, `${answered} answers, current is ${current?.version}`),
    ...said(processes.join() !== current?.version, `expected one process of ${current?.version}, got ${processes}`),
    ...slots.filter(({ state }) => state === "trial").map(({ version }) => `${version} is still on trial`),
  ];
}

function wrongRecords(records: readonly string[], acknowledged: readonly string[]): string[] {
  const there = new Set(records);
  return [
    ...acknowledged.filter((record) => !there.has(record)).map((record) => `lost record: ${record}`),
    ...records.flatMap((record, number) =>
      said(!record.startsWith(`${number} by `), `record ${number} is "${record}"`),
    ),
  ];
}

/** The newest change that was to change what runs must agree with what runs. */
function wrongHistory({ current }: AppStatus, changes: readonly OperationDocument[]): string[] {
  const open = changes.filter(({ finished }) => finished === undefined).map(({ id }) => `operation ${id} has no end`);
  const last = changes.find(({ to, steps }) => to !== undefined && steps.some((step) => isSwitch(step)));
  if (last === undefined) return open;
  const expected = last.state === "done" ? last.to : last.from;
  const disagrees = expected !== current?.number;
  const how = `operation ${last.id} (${last.kind}) is ${last.state}, from ${last.from} to ${last.to}`;
  const unsaid = last.state === "failed" && (!last.reverted || last.reason === undefined);
  return [
    ...open,
    ...said(disagrees, `${how}, but generation ${current?.number} is current`),
    ...said(unsaid, `${how}, without saying why or that it was taken back`),
  ];
}

function isSwitch({ name, started }: OperationDocument["steps"][number]): boolean {
  return name === "mount" && started !== undefined;
}

function leftovers(rig: Rig, { snapshots }: AppStatus): string[] {
  const names = readdirSync(rig.state, { recursive: true, encoding: "utf8" });
  const temporary = names.filter((path) => isTemporary(path) && !/^data\/[^/]+\/\w+\/[^/]+\//.test(path));
  const kept = namesIn(join(rig.state, "data/shop/snapshots")).sort();
  const known = snapshots.map(({ id }) => id).sort();
  const versions = namesIn(join(rig.state, "data/shop/versions"));
  return [
    ...temporary.map((path) => `left over: ${path}`),
    ...namesIn(join(rig.state, "parts")).map((name) => `left over: parts/${name}`),
    ...said(kept.join() !== known.join(), `snapshots on disk are ${kept}, in the journal ${known}`),
    ...said(versions.length !== 1, `versions of the data: expected one, got ${versions}`),
  ];
}

function isTemporary(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return TEMPORARY_NAME.test(name) || HALF_MADE.test(name);
}

function namesIn(directory: string): string[] {
  return readdirSync(directory);
}

/** Versions of the app's processes that live, one each; the sandbox's own processes are not the app's. */
export function processesOf(rig: Rig): (string | undefined)[] {
  return namesIn("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => argumentsOf(pid))
    .filter(
      (words) => words[0] === "/usr/bin/perl" && words[1] === "/opt/server.pl" && words[2]?.endsWith(`-${rig.port}`),
    )
    .map((words) => words[2]);
}

function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return []; // it ended while we looked
  }
}

function toEvent({ detail, app, operation, ...row }: Record<string, unknown>): EventDocument {
  const about = { ...(app === null ? {} : { app }), ...(operation === null ? {} : { operation }) };
  return { schema: 1, ...row, ...about, detail: JSON.parse(String(detail)) } as EventDocument;
}

function said(wrong: boolean, text: string): string[] {
  return wrong ? [text] : [];
}
