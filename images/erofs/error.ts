import { Failure, type FailureOptions, type Outcome } from "../../manifests/failure.ts";

export type ErofsErrorCode =
  | "blob-missing"
  | "blob-digest"
  | "layer-content"
  | "layer-limit"
  | "layer-format"
  | "layer-write"
  | "verity-mismatch"
  | "image-damaged"
  | "image-missing";

const OUTCOMES: Record<ErofsErrorCode, Outcome> = {
  "blob-missing": "failed",
  "blob-digest": "failed",
  "layer-content": "failed",
  "layer-limit": "failed",
  "layer-format": "refused",
  "layer-write": "failed",
  "verity-mismatch": "refused",
  "image-damaged": "refused",
  "image-missing": "failed",
};

/** A layer that cannot become an EROFS image, or an image that is not the one that was signed. */
export class ErofsError extends Failure {
  declare readonly code: ErofsErrorCode;
  constructor(code: ErofsErrorCode, message: string, options: FailureOptions = {}) {
    super(OUTCOMES[code], code, message, options);
  }
}
