import { PROBE_PATH, portOf } from "../../../manifests/app.ts";
import { badValue, type FlagSpecs, flag, onlyWord, readArguments } from "../arguments.ts";
import type { Draft } from "../draft.ts";
import { type Problem, ProblemFound, type ProblemText, quote } from "../problem.ts";
import { atKeyword, type Instruction } from "../split.ts";
import { oneOf } from "../values.ts";

const FLAGS: FlagSpecs = { probe: { kind: "value" } };
const ORDERS = ["stop-first", "start-first"] as const;

/** `SWITCH stop-first|start-first [--probe=/run/...]`: whether a new version may run beside the one it replaces. */
export function readSwitch(instruction: Instruction, draft: Draft): void {
  const { flags, words } = readArguments(instruction, draft, FLAGS);
  const at = onlyWord(instruction, words, ORDERS.join(" or "));
  const order = oneOf(instruction, at, "order", ORDERS);
  if (draft.image.switch !== undefined) {
    const first = draft.declared.find(({ keyword }) => keyword === instruction.keyword);
    const message = `second SWITCH: the first is in line ${first?.firstLine}`;
    throw new ProblemFound(atKeyword(instruction, { code: "duplicate", message, expected: "one SWITCH" }));
  }
  const probe = flag(flags, "probe");
  if (probe !== undefined && order === "stop-first") {
    badValue(instruction, probe, "--probe is of start-first alone", { expected: "SWITCH start-first --probe=PATH" });
  }
  if (probe !== undefined && !PROBE_PATH.test(probe.value)) {
    const expected = "a unix socket that the app makes below /run or /tmp, which no two versions share, 80 characters";
    badValue(instruction, probe, `bad path ${quote(probe.value)}`, { expected });
  }
  draft.image.switch = { order, ...(probe === undefined ? {} : { probe: probe.value }) };
}

/** What start-first needs of the other instructions, wherever they stand. */
export function checkSwitch(draft: Draft): Problem[] {
  const { image, declared } = draft;
  const instruction = declared.find(({ keyword }) => keyword === "SWITCH");
  if (instruction === undefined || image.switch?.order !== "start-first") return [];
  const { listen, data, switch: rule } = image;
  const health = image.healthcheck === undefined ? image.health : [...image.health, image.healthcheck];
  const ambiguous = health.map(portOf).find((port) => listen.some((socket) => socket.port === port));
  const problems: (ProblemText | undefined)[] = [
    listen.length > 0
      ? undefined
      : {
          code: "bad-value",
          message: "start-first needs LISTEN",
          expected: "LISTEN: two versions cannot bind one port",
        },
    health.some(({ kind }) => kind !== "unit")
      ? undefined
      : { code: "bad-value", message: "start-first needs HEALTH", expected: "a check that proves the new version" },
    ambiguous === undefined || rule.probe !== undefined
      ? undefined
      : {
          code: "bad-value",
          message: `either version answers HEALTH on port ${ambiguous}`,
          expected: "--probe=/run/NAME.sock, a unix socket on which the app answers the same",
        },
    data.every((one) => one.shared === true)
      ? undefined
      : {
          code: "bad-value",
          message: `both versions would write ${data[0]?.path}`,
          expected: `DATA ${data[0]?.path} --shared, if the app can bear that, or stop-first`,
        },
  ];
  return problems.flatMap((text) => (text === undefined ? [] : [atKeyword(instruction, text)]));
}
