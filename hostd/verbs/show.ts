import { unrepaired } from "../../manifests/care.ts";
import { shortDigest } from "../../manifests/digest.ts";
import type { AppStatus, OperationDocument, StatusDocument, UnderWay, UpdateHold } from "../../manifests/node.ts";
import { table, terminalColumns, wrap } from "../../terminal/table.ts";
import { howRunEnded } from "../exit.ts";
import { describeUnheld } from "../switch/limits.ts";
import { howItStands, tookOf } from "./answer.ts";
import { driftLines } from "./show-config.ts";
import { showHost } from "./show-host.ts";

/** The status of a node as people read it: one block per app, running version marked. */
export function showStatus(status: StatusDocument): string {
  const { hostd, apps, quarantine, problems, verity, data } = status;
  const head = `hostd ${hostd.version}, pid ${hostd.pid}, since ${when(hostd.started)}; layers ${verity.replaceAll("-", " ")}; data on ${showStore(data)}`;
  const blocks = apps.length === 0 ? ["no apps: hostd stage APP brings one"] : apps.map(showApp);
  const host = status.host === undefined ? [] : [showHost(status.host)];
  const refused = quarantine.map(({ app, image, reason }) => line(2, `${app} ${shortDigest(image)}: ${reason}`));
  const care = careLines(status);
  return [
    [head, ...problems.map((problem) => line(2, `BAD ${problem}`)), ...followLines(status), ...care].join("\n"),
    ...host,
    ...blocks,
    ...(refused.length === 0 ? [] : [["quarantined:", ...refused].join("\n")]),
  ].join("\n\n");
}

function followLines({ follows }: StatusDocument): string[] {
  if (follows === undefined) return [];
  const { channel, how, between } = follows;
  const when = between === undefined ? "" : `, between ${between}`;
  return [
    line(2, `follows ${channel}: ${how === "stage" ? "stages what it releases" : `stages and activates${when}`}`),
  ];
}

/** When what hostd has was last verified, and what is wrong with it. */
function careLines({ care, scrub }: StatusDocument): string[] {
  const bad = unrepaired(scrub);
  return [
    ...(care?.journal.verified === undefined
      ? []
      : [line(2, `journal sound, verified ${when(care.journal.verified)}`)]),
    ...(care?.problems ?? []).map((problem) => line(2, problem)),
    ...(scrub === undefined ? [] : [line(2, `${scrub.layers} layers read ${when(scrub.at)}, ${bad.length} damaged`)]),
    ...bad.map(({ message }) => line(2, `BAD ${message}`)),
    ...(bad.length === 0 ? [] : [line(2, "hint: hostd fsck --repair")]),
  ];
}

function showStore({ driver, pool }: StatusDocument["data"]): string {
  if (pool === undefined) return driver;
  const percent = (part: number) => `${Math.floor(part * 100)} %`;
  return `${driver} ${pool.name}, ${percent(pool.data)} full, metadata ${percent(pool.metadata)}`;
}

/** One app: three axes of its generation, health, slots and snapshots. */
export function showApp(app: AppStatus): string {
  const lines = [
    line(0, `${app.app}: ${describeCurrent(app)}`),
    ...(app.hold === undefined ? [] : [line(2, `kept stopped: ${app.hold}`)]),
    ...(app.updatesHeld === undefined ? [] : [line(2, describeHold(app.updatesHeld))]),
    ...(app.hindered === undefined ? [] : [line(2, `could not be started again: ${app.hindered}`)]),
    ...lastRunLines(app),
    ...targetLines(app),
    ...driftOf(app),
    ...app.underWay.flatMap(underWayLines),
    ...describeUnheld(app.limits).map((text) => line(2, text)),
    ...app.checks.map(({ ok, check, detail, took }) =>
      line(2, `${ok ? "ok " : "BAD"} ${check}: ${detail} (${Math.round(took)} ms)`),
    ),
    ...app.hostChecks.map(({ outcome, check, detail }) => line(2, `${outcome} ${check}: ${detail}`)),
  ];
  if (app.slots.length > 0) lines.push("", slotTable(app));
  if (app.snapshots.length > 0) lines.push("", snapshotTable(app, 2));
  return lines.join("\n");
}

function slotTable(app: AppStatus): string {
  return table(["", "VERSION", "DIGEST", "STATE", "SEQ", "STAGED", "LAST GOOD"], slotRows(app), { indent: 2 });
}

function snapshotTable(app: AppStatus, indent = 0): string {
  const rows = app.snapshots.map(({ id, format, generation, reason, taken }) => [
    id,
    String(format),
    generation === undefined ? "" : String(generation),
    when(taken),
    reason,
  ]);
  return table(["SNAPSHOT", "FORMAT", "GENERATION", "TAKEN", "WHY"], rows, { indent });
}

/** What was done, when, how it ended, and under each who did it and why it ended so. */
export function showChanges(changes: readonly OperationDocument[]): string {
  if (changes.length === 0) return "nothing has happened yet";
  const rows = changes.map((change) => [
    String(change.id),
    when(change.started),
    `${change.kind} ${change.app}`,
    change.version ?? "",
    howItStands(change),
  ]);
  const below = changes.map((change) => [
    [change.image === undefined ? "" : shortDigest(change.image), tookOf(change), `by ${change.by}`]
      .filter((part) => part !== "")
      .join(", "),
    ...(change.reason === undefined ? [] : `why: ${change.reason.message}`.split("\n")),
    ...(change.run === undefined ? [] : [`run: ${howRunEnded(change.run)}`]),
    ...change.notes.flatMap((note) => note.split("\n")),
  ]);
  return table(["ID", "WHEN", "WHAT", "VERSION", "OUTCOME"], rows, { below });
}

/** Every step of one operation with its times. */
export function showSteps(operation: OperationDocument): string {
  const rows = operation.steps
    .filter(({ started }) => started !== undefined)
    .map(({ name, started = "", done, undone, detail = "" }) => [
      name,
      timeOf(started),
      done === undefined ? "" : `${Date.parse(done) - Date.parse(started)} ms`,
      undone === undefined ? "" : timeOf(undone),
      detail,
    ]);
  return table(["STEP", "STARTED", "TOOK", "UNDONE", "DETAIL"], rows);
}

function describeCurrent(app: AppStatus): string {
  const { current } = app;
  if (current === undefined) return `${app.slots.length === 0 ? "no version here" : "nothing runs"}${keptData(app)}`;
  const data = current.data === undefined ? "no data" : `data ${current.data.version} (format ${current.data.format})`;
  const revision = current.configRevision === 0 ? "" : ` (revision ${current.configRevision})`;
  const config = `config ${current.config}${revision}`;
  const axes = `binaries ${current.version} (${shortDigest(current.image)}), ${config}, ${data}`;
  const process = app.process === undefined ? "" : `, pid ${app.process.pid}`;
  return `${app.health}, generation ${current.number} (${current.state}): ${axes}${process}`;
}

function keptData({ data }: AppStatus): string {
  return data === undefined ? "" : `; data ${data.version} (format ${data.format}) is kept`;
}

function lastRunLines({ lastRun }: AppStatus): string[] {
  if (lastRun === undefined) return [];
  const { operation, version, ended } = lastRun;
  const at = ended === undefined ? "" : `, ${when(ended)}`;
  return [line(2, `last run: ${howRunStands(lastRun)}${at} (${version}, operation ${operation})`)];
}

/** How the last run of a job ended; of one under way, since when. */
export function howRunStands(run: NonNullable<AppStatus["lastRun"]>): string {
  return run.state === "running" ? `under way since ${when(run.started)}` : howRunEnded(run);
}

/** What was asked for, where that is not what runs. */
function targetLines({ target, current }: AppStatus): string[] {
  if (target === undefined || target.image === current?.image) return [];
  return [line(2, `target: ${target.version} (${shortDigest(target.image)}), sequence ${target.sequence}`)];
}

function driftOf({ app, config }: AppStatus): string[] {
  return driftLines({ apps: [{ app, config }] }).map((text) => line(2, text.trim()));
}

function underWayLines({ operation, kind, version, from, to, state, step, text, reason }: UnderWay): string[] {
  const where = to === undefined ? "" : `, generation ${from === undefined ? "" : `${from} → `}${to}`;
  const how = state === "reverting" ? "taking it back" : "under way";
  return [
    line(2, `${how}: operation ${operation}, ${kind}${version === undefined ? "" : ` ${version}`}${where}`),
    ...(step === undefined ? [] : [line(4, `step ${step}: ${text ?? ""}`)]),
    ...(reason === undefined ? [] : [line(4, `why: ${reason}`)]),
  ];
}

function slotRows(app: AppStatus): string[][] {
  return app.slots.map((slot) => [
    slot.image === app.current?.image ? "●" : slot.image === app.rollbackTarget?.image ? "↩" : "",
    slot.version,
    shortDigest(slot.image),
    [
      slot.state,
      ...(slot.quarantined === undefined ? [] : ["quarantined"]),
      ...(slot.pinned === undefined ? [] : ["pinned"]),
    ].join(", "),
    String(slot.sequence),
    minuteOf(slot.staged),
    slot.lastGood === undefined ? "" : minuteOf(slot.lastGood),
  ]);
}

/** A time as people read it. */
export function when(time: string): string {
  return time.replace("T", " ").replace(/\.\d+Z$/, "Z");
}

function minuteOf(time: string): string {
  return when(time).replace(/:\d\dZ$/, "Z");
}

function timeOf(time: string): string {
  return time.replace(/^.*T/, "");
}

/** A line of text that is wrapped at words where the terminal ends. */
function line(indent: number, text: string): string {
  const space = " ".repeat(indent);
  return `${space}${wrap(text, terminalColumns() - indent - 2).join(`\n${space}  `)}`;
}

/** A hold of updates, in words for people. */
export function describeHold({ reason, until, by }: UpdateHold): string {
  return `updates held ${until === undefined ? "for good" : `until ${when(until)}`} by ${by}: ${reason}`;
}
