import { Failure, type FailureOptions, type Outcome } from "../../manifests/failure.ts";
import { showPath } from "../entry.ts";

export type LayerErrorCode =
  | "layer-order"
  | "layer-name"
  | "layer-attribute"
  | "layer-changed"
  | "diff-id-mismatch"
  | "unpack-target"
  | "xattr-unreadable";

/** A tree that cannot become a layer, or a layer that cannot become a tree, exactly. */
export class LayerError extends Failure {
  declare readonly code: LayerErrorCode;
  constructor(code: LayerErrorCode, message: string, options: FailureOptions = {}) {
    const outcome: Outcome = code === "diff-id-mismatch" ? "refused" : "failed";
    super(outcome, code, message, options);
  }
}

/** The error of one entry, which its message names. */
export function layerError(code: LayerErrorCode, path: string, message: string): LayerError {
  return new LayerError(code, `layer entry ${showPath(path)}: ${message}`);
}
