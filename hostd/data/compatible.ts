import satisfies from "semver/functions/satisfies.js";
import type { App } from "../../manifests/app.ts";
import type { OperationKind } from "../../manifests/node.ts";
import type { SnapshotDocument } from "../../manifests/snapshot.ts";

/** Whether an image can work with data of a format: its `DATA --reads` range, or its own format alone. */
export function canRead(app: App, format: number | undefined): boolean {
  const [data] = app.data;
  if (data === undefined || format === undefined) return true;
  return satisfies(`${format}.0.0`, data.reads ?? `${data.format}.0.0`);
}

/** The format of the data once the image has run on it: an image may raise it, and never lowers it. */
export function formatAfter(app: App, present: number | undefined): number | undefined {
  const [data] = app.data;
  if (data === undefined) return present;
  return Math.max(data.format, present ?? 0);
}

/** Whether the data is of an older format than the image writes: it has to be migrated before the image runs on it. */
function isBehind(app: App, present: number | undefined): boolean {
  const [data] = app.data;
  return data !== undefined && present !== undefined && present < data.format;
}

/** Whether an operation runs the image's MIGRATE hook; what goes back or runs again does so on older data alone. */
export function migrates(app: App, present: number | undefined, kind: OperationKind): boolean {
  if (app.hooks.migrate === undefined) return false;
  return (kind !== "rollback" && kind !== "run") || isBehind(app, present);
}

/** Sound snapshots, newest first, that the image could read: what a refused rollback names. */
export function readableSnapshots(app: App, snapshots: readonly SnapshotDocument[]): SnapshotDocument[] {
  return snapshots.filter(({ format, digest }) => canRead(app, format) && digest?.damaged === undefined);
}

/** What an image reads, in words: `format 2`, `formats >=1 <3`. */
export function describeReads(app: App): string {
  const [data] = app.data;
  if (data === undefined) return "any format";
  return data.reads === undefined ? `format ${data.format}` : `formats ${data.reads}`;
}
