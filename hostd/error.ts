import { Failure, type FailureOptions, type Outcome } from "../manifests/failure.ts";

/** Every way hostd itself refuses or fails, with the outcome a caller sees. */
const OUTCOMES = {
  // refused by policy or by the state of the node
  "not-fresh": "refused",
  "no-release": "refused",
  "sequence-lower": "refused",
  "not-allowed": "refused",
  quarantined: "refused",
  "wrong-architecture": "refused",
  "wrong-product": "refused",
  "no-space": "refused",
  "not-staged": "refused",
  "no-rollback-target": "refused",
  "data-format": "refused",
  "data-nested": "refused",
  "snapshot-damaged": "refused",
  protected: "refused",
  quota: "refused",
  "no-host": "refused",
  "not-proven": "refused",
  "below-floor": "refused",
  "not-recovery": "refused",
  "other-key": "refused",
  "updates-held": "refused",
  held: "refused",
  // busy
  busy: "busy",
  // usage
  "unknown-app": "usage",
  "unknown-operation": "usage",
  "unknown-snapshot": "usage",
  "unknown-image": "usage",
  "unknown-config": "usage",
  "config-layer": "usage",
  "unknown-secret": "usage",
  "unknown-route": "usage",
  "bad-request": "usage",
  // failed
  "not-running": "failed",
  "not-permitted": "failed",
  left: "failed",
  "already-running": "failed",
  "illegal-transition": "failed",
  "lock-not-held": "failed",
  "blob-missing": "failed",
  "blob-digest": "failed",
  "blob-cut": "failed",
  "config-value": "failed",
  "hook-failed": "failed",
  "drain-failed": "failed",
  "data-gone": "failed",
  unhealthy: "failed",
  "job-failed": "failed",
  "job-interrupted": "failed",
  interrupted: "failed",
  "no-esp": "failed",
  "reboot-failed": "failed",
  "exchange-failed": "failed",
  "trial-failed": "failed",
  "not-confirmed": "failed",
  aborted: "failed",
  "too-many-transitions": "failed",
  journal: "failed",
  "journal-damaged": "failed",
} as const satisfies Record<string, Outcome>;

export type HostdErrorCode = keyof typeof OUTCOMES;

/** A refusal or failure of hostd; the code fixes the outcome. */
export class HostdError extends Failure {
  declare readonly code: HostdErrorCode;
  constructor(code: HostdErrorCode, message: string, options: FailureOptions = {}) {
    super(OUTCOMES[code], code, message, options);
  }
}
