import { Failure, type FailureOptions } from "../manifests/failure.ts";

export type StoreErrorCode =
  | "blob-missing"
  | "blob-corrupt"
  | "blob-size"
  | "store-full"
  | "index-invalid"
  | "reference-unknown"
  | "reference-ambiguous"
  | "image-invalid";

/** A store that lacks what it was asked for, or holds something else than its name says. */
export class StoreError extends Failure {
  declare readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string, options: FailureOptions = {}) {
    super("failed", code, message, options);
  }
}
