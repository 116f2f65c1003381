import { shortDigest } from "../../manifests/digest.ts";
import type { AppStatus, OperationDocument, StatusDocument } from "../../manifests/node.ts";
import { table } from "../../terminal/table.ts";
import { howItStands } from "./answer.ts";

/** The status of a node as people read it: one block per app, running version marked. */
export function showStatus(status: StatusDocument): string {
  const { hostd, apps, quarantine, verity } = status;
  const head = `hostd ${hostd.version}, pid ${hostd.pid}, since ${when(hostd.started)}; layers ${verity.replaceAll("-", " ")}`;
  const blocks = apps.length === 0 ? ["no apps: hostd stage APP brings one"] : apps.map(showApp);
  const refused = quarantine.map(({ app, image, reason }) => `  ${app} ${shortDigest(image)}: ${reason}`);
  return [head, ...blocks, ...(refused.length === 0 ? [] : [["quarantined:", ...refused].join("\n")])].join("\n\n");
}

/** One app: three axes of its generation, health, slots and snapshots. */
export function showApp(app: AppStatus): string {
  const lines = [
    `${app.app}: ${describeCurrent(app)}`,
    ...(app.hold === undefined ? [] : [`  kept stopped: ${app.hold}`]),
    ...(app.operations.length === 0 ? [] : [`  under way: operation ${app.operations.join(", ")}`]),
    ...app.checks.map(
      (check) => `  ${check.ok ? "ok " : "BAD"} ${check.check}: ${check.detail} (${Math.round(check.took)} ms)`,
    ),
    "",
    indent(table(["", "VERSION", "DIGEST", "STATE", "SEQUENCE", "STAGED", "LAST GOOD"], slotRows(app))),
  ];
  if (app.snapshots.length > 0) lines.push("", indent(snapshotTable(app)));
  return lines.join("\n");
}

export function snapshotTable(app: AppStatus): string {
  const rows = app.snapshots.map(({ id, format, generation, reason, taken }) => [
    id,
    String(format),
    generation === undefined ? "" : String(generation),
    when(taken),
    reason,
  ]);
  return table(["SNAPSHOT", "FORMAT", "GENERATION", "TAKEN", "WHY"], rows);
}

/** Who did what, when, and how it ended. */
export function showChanges(changes: readonly OperationDocument[]): string {
  if (changes.length === 0) return "nothing has happened yet";
  const rows = changes.map((change) => [
    String(change.id),
    when(change.started),
    change.by,
    `${change.kind} ${change.app}`,
    change.version ?? "",
    change.image === undefined ? "" : shortDigest(change.image),
    howItStands(change),
    [...(change.reason === undefined ? [] : [change.reason.message]), ...change.notes].join("; "),
  ]);
  return table(["ID", "WHEN", "WHO", "WHAT", "VERSION", "DIGEST", "OUTCOME", "WHY"], rows);
}

/** Every step of one operation with its times. */
export function showSteps(operation: OperationDocument): string {
  const rows = operation.steps
    .filter(({ started }) => started !== undefined)
    .map((step) => [
      step.name,
      step.started ?? "",
      step.done === undefined || step.started === undefined
        ? ""
        : `${Date.parse(step.done) - Date.parse(step.started)} ms`,
      step.undone === undefined ? "" : `undone ${step.undone}`,
      step.detail ?? "",
    ]);
  return table(["STEP", "STARTED", "TOOK", "UNDONE", "DETAIL"], rows);
}

function describeCurrent(app: AppStatus): string {
  const { current } = app;
  if (current === undefined) return "nothing runs";
  const data = current.data === undefined ? "no data" : `data ${current.data.version} (format ${current.data.format})`;
  const axes = `${current.version} (${shortDigest(current.image)}), config ${current.config}, ${data}`;
  const process = app.process === undefined ? "" : `, pid ${app.process.pid}`;
  return `${app.health}, generation ${current.number} (${current.state}): ${axes}${process}`;
}

function slotRows(app: AppStatus): string[][] {
  return app.slots.map((slot) => [
    slot.image === app.current?.image ? "●" : slot.image === app.rollbackTarget?.image ? "↩" : "",
    slot.version,
    shortDigest(slot.image),
    slot.pinned === undefined ? slot.state : `${slot.state}, pinned`,
    String(slot.sequence),
    when(slot.staged),
    slot.lastGood === undefined ? "" : when(slot.lastGood),
  ]);
}

function when(time: string): string {
  return time.replace("T", " ").replace(/\.\d+Z$/, "Z");
}

function indent(text: string): string {
  return text.replace(/^/gm, "  ");
}
