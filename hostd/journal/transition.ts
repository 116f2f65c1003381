import { HostdError } from "../error.ts";
import type { Transitions } from "../states.ts";

/** The state an action leads to; throws where the table of states does not allow it from the present one. */
export function transition<State extends string, Action extends string>(
  table: Transitions<State, Action>,
  what: string,
  from: State | "absent",
  action: Action,
): State | "absent" {
  const rule = table[action];
  if (rule.from.includes(from)) return rule.to;
  throw new HostdError(
    "illegal-transition",
    `${what}: cannot ${action} what is ${from}, expected ${rule.from.join(" or ")}`,
  );
}
