import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { OperationRow } from "../journal/operations.ts";
import { parsePlan } from "../operations/plan.ts";
import { isUpgrade } from "../states.ts";
import { hostOf } from "./host.ts";

/** Records that the pusher reached the new system; the step `confirm` goes on with it, be it waiting or still to come. */
export function confirmUpgrade(engine: Engine, by: string): OperationRow {
  const { machine } = hostOf(engine);
  const operation = engine.journal.operations
    .unfinished()
    .find(
      ({ id, kind, plan, state }) =>
        isUpgrade(kind) && state === "running" && parsePlan(plan, id).host?.root === machine.booted,
    );
  if (operation === undefined) {
    throw new HostdError("bad-request", "no upgrade waits for a confirmation here: what runs is not on trial", {
      hint: "hostd changes shows how the last one ended",
    });
  }
  const { id, app } = operation;
  engine.journal.events.append("host.confirmed", { app, operation: id, detail: { by, boot: machine.bootId } });
  return operation;
}
