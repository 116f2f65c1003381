import { EXIT_CODES, Failure } from "../../manifests/failure.ts";
import type { Invocation, Verb } from "../../terminal/verb.ts";
import { argument, OPERATION_OPTIONS, operate, UPGRADE_OPTIONS, upgradeOf } from "./answer.ts";
import { verb as stage } from "./stage.ts";

/** The rollback alone: to a version that is on the node. */
export const rollbackHere: Verb = {
  name: "rollback",
  summary: "go back to a version that ran here: its binaries alone, unless data or config are asked for too",
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

export const verb = bringingBack(rollbackHere, stage);

/** A rollback to a version that ran here and is gone brings that again first: two operations, the second where the first is done. */
export function bringingBack(rollback: Verb, bring: Verb): Verb {
  return {
    ...rollback,
    async run(invocation) {
      try {
        return await rollback.run(invocation);
      } catch (error) {
        const image = goneImage(error);
        if (image === undefined || invocation.options["wait"] === false) throw error;
        const { socket, on, requestId } = invocation.options;
        const options = { socket, on, ...(requestId === undefined ? {} : { requestId: `${requestId}:bring` }) };
        const brought = await bring.run({ ...invocation, arguments: [invocation.arguments[0], image], options });
        return brought.exitCode === EXIT_CODES.ok ? await rollback.run(invocation) : brought;
      }
    },
  };
}

function goneImage(error: unknown): string | undefined {
  if (!(error instanceof Failure) || error.code !== "not-staged") return undefined;
  const image = error.details?.["image"];
  return typeof image === "string" ? image : undefined;
}

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
