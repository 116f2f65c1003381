import { Failure, type FailureOptions, type Outcome } from "../manifests/failure.ts";

export type FleetErrorCode =
  | "inventory"
  | "unknown-node"
  | "node-known"
  | "other-node"
  | "node-unreachable"
  | "no-bundle"
  | "not-installable"
  | "install-under-way"
  | "install-failed"
  | "updates-held"
  | "not-released"
  | "release-moved"
  | "not-staged"
  | "rollout-file"
  | "unknown-rollout"
  | "rollout-under-way"
  | "rollout-ended"
  | "record"
  | "notify";

const OUTCOMES: Partial<Record<FleetErrorCode, Outcome>> = {
  inventory: "usage",
  "unknown-node": "usage",
  "node-known": "refused",
  "other-node": "refused",
  "no-bundle": "usage",
  "not-installable": "refused",
  "install-under-way": "busy",
  "updates-held": "refused",
  "not-released": "refused",
  "release-moved": "refused",
  "rollout-file": "usage",
  "unknown-rollout": "usage",
  "rollout-under-way": "busy",
  "rollout-ended": "refused",
};

/** What goes wrong between the operator's machine and its nodes. */
export class FleetError extends Failure {
  declare readonly code: FleetErrorCode;
  constructor(code: FleetErrorCode, message: string, options: FailureOptions = {}) {
    super(OUTCOMES[code] ?? "failed", code, message, options);
  }
}
