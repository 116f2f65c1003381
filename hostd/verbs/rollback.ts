import { Failure } from "../../manifests/failure.ts";
import type { Invocation, Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate, UPGRADE_OPTIONS, upgradeOf } from "./answer.ts";

export const verb: Verb = {
  name: "rollback",
  summary: "go back to a version on this node: its binaries alone, unless data or config are asked for too",
  arguments: [{ name: "<app>", summary: "the app" }],
  options: [
    {
      flags: "--to <generation>",
      summary: "generation number, digest, or current (default: the last good one before, or whose data it is)",
    },
    { flags: "--with-data <snapshot>", summary: "take the data back to this snapshot; what it is now is kept as one" },
    {
      flags: "--with-config [version]",
      summary: "take the config back too: to that generation's, or a version; with --to current, to the one before",
    },
    ...UPGRADE_OPTIONS,
    ...OPERATION_OPTIONS,
  ],
  examples: [
    "hostd rollback shop",
    "hostd rollback shop --to 3 --with-data before-g4",
    "hostd rollback shop --to current --with-config",
    "hostd rollback shop --to current --with-config 3",
  ],
  run: (invocation) => operate(invocation, argument(invocation, 0), "rollback", rollbackRequest(invocation)),
};

/** What hostd is asked for, by the words of a command line. */
export function rollbackRequest(invocation: Invocation): Record<string, unknown> {
  const { to, withData, withConfig } = invocation.options;
  return { to, withData, withConfig: configVersion(withConfig), ...upgradeOf(invocation) };
}

function configVersion(given: unknown): unknown {
  if (typeof given !== "string") return given;
  if (/^[1-9]\d{0,8}$/.test(given)) return Number(given);
  throw new Failure("usage", "bad-argument", `expected a config version, got ${given}`, {
    hint: "hostd status shows the one that runs",
  });
}
