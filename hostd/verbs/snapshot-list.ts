import type { SnapshotsDocument } from "../../manifests/care.ts";
import { bytes, table } from "../../terminal/table.ts";
import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION } from "./answer.ts";
import { when } from "./show.ts";

export const verb: Verb = {
  name: "snapshot list",
  summary: "data snapshots of an app, newest first, with what they take and until when they are kept",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: [SOCKET_OPTION],
  async run(invocation) {
    const document = await clientOf(invocation).snapshots(argument(invocation, 0));
    return { json: document, text: showSnapshots(document) };
  },
};

function showSnapshots({ snapshots }: SnapshotsDocument): string {
  if (snapshots.length === 0) return "no snapshots";
  const rows = snapshots.map(({ id, format, generation, taken, consistency, size, expires, digest, reason }) => [
    id,
    String(format),
    generation === undefined ? "" : String(generation),
    when(taken),
    consistency,
    size === undefined ? "" : bytes(size.bytes),
    size?.exclusive === undefined ? "" : bytes(size.exclusive),
    expires === undefined ? "forgotten" : when(expires),
    digest === undefined ? "not yet" : digest.damaged === undefined ? when(digest.at) : `BAD ${when(digest.damaged)}`,
    reason,
  ]);
  const below = snapshots.map(({ kept }) => (kept === undefined ? [] : [`kept: ${kept}`]));
  const head = ["SNAPSHOT", "FORMAT", "GEN", "TAKEN", "APP WAS", "HOLDS", "ALONE", "KEPT UNTIL", "READ", "WHY"];
  return table(head, rows, { below });
}
