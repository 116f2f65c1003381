import { resolve } from "node:path";
import { Failure } from "../../manifests/failure.ts";
import type { Verb } from "../../terminal/verb.ts";
import { reset } from "../reset.ts";
import { text } from "./answer.ts";

export const verb: Verb = {
  name: "reset",
  summary: "stop every app and take the node back to empty; hostd must not run",
  options: [
    { flags: "--state <dir>", summary: "what survives a reboot", default: "/var/lib/hostd" },
    { flags: "--run <dir>", summary: "what hostd serve was given as --run (default: the one that it had last)" },
    {
      flags: "--keep-data",
      summary: "keep the apps' data, but no snapshot of it, their user ids and what the node trusts",
    },
    { flags: "--wipe", summary: "keep nothing but, on a host, the system that runs and who may log in" },
    { flags: "--machine <dir>", summary: "where /proc and the ESP are, but in tests", default: "/" },
  ],
  examples: ["hostd reset --keep-data", "hostd reset --wipe --state /var/lib/hostd"],
  async run({ options }) {
    const wipe = options["wipe"] === true;
    if (wipe === (options["keepData"] === true)) {
      throw new Failure("usage", "bad-option", "expected one of --keep-data and --wipe", {
        hint: "hostd reset --help",
      });
    }
    const report = await reset({
      stateDirectory: text(options["state"]) ?? "",
      runDirectory: text(options["run"]),
      wipe,
      machine: resolve(text(options["machine"]) ?? "/"),
    });
    const stopped = report.stopped.length === 0 ? "no app ran" : `stopped ${report.stopped.join(", ")}`;
    const { unmounted, snapshots, removed, formatsLost } = report;
    const done = `${stopped}; unmounted ${unmounted} slots; forgot ${snapshots} data snapshots; removed ${removed.join(", ") || "nothing"}`;
    const lost =
      "the journal is damaged, so the formats of the data are not known any more: activate only what reads it";
    return { json: { ...report, wipe }, text: formatsLost ? `${done}\n${lost}` : done };
  },
};
