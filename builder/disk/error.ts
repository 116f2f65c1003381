import { Failure, type FailureOptions } from "../../manifests/failure.ts";

export type DiskErrorCode =
  | "needs-root"
  | "bad-size"
  | "no-room"
  | "not-a-host-image"
  | "not-released"
  | "not-verified"
  | "loader-missing"
  | "uki-mismatch"
  | "output-exists";

const REFUSED: readonly DiskErrorCode[] = ["not-released", "not-verified"];
const USAGE: readonly DiskErrorCode[] = ["bad-size"];

/** A disk that cannot be made. What the policy refuses is `refused`, what was asked wrongly is `usage`. */
export class DiskError extends Failure {
  declare readonly code: DiskErrorCode;
  constructor(code: DiskErrorCode, message: string, options: FailureOptions = {}) {
    super(REFUSED.includes(code) ? "refused" : USAGE.includes(code) ? "usage" : "failed", code, message, options);
  }
}
