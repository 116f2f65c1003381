import type { SnapshotCheck } from "../../manifests/care.ts";
import { EXIT_CODES } from "../../manifests/failure.ts";
import { bytes } from "../../terminal/table.ts";
import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION } from "./answer.ts";

export const verb: Verb = {
  name: "snapshot verify",
  summary: "read a snapshot whole and compare it with what was recorded of it",
  arguments: [
    { name: "<app>", summary: "the app" },
    { name: "<snapshot>", summary: "its name in `hostd snapshot list`" },
  ],
  options: [SOCKET_OPTION],
  examples: ["hostd snapshot verify shop before-g4"],
  async run(invocation) {
    const check = await clientOf(invocation).verifySnapshot(argument(invocation, 0), argument(invocation, 1));
    const exitCode = check.outcome === "differs" ? EXIT_CODES.failed : EXIT_CODES.ok;
    return { json: check, text: describe(check), exitCode };
  },
};

function describe({ app, id, outcome, recorded, found }: SnapshotCheck): string {
  const what = `snapshot ${id} of ${app}: ${found.files} files, ${bytes(found.bytes)}`;
  if (outcome === "recorded") {
    return `${what}, read for the first time: recorded, so later readings can be compared with it; nothing was to compare with`;
  }
  if (outcome === "same") return `${what}, as recorded at ${recorded?.at}`;
  const was = recorded === undefined ? "" : `${recorded.files} files, ${bytes(recorded.bytes)}`;
  return `${what}: NOT as recorded at ${recorded?.at} (${was}); do not restore it`;
}
