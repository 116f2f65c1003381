import { REPAIR_HINT } from "../../images/verity.ts";
import { Failure, type FailureOptions } from "../../manifests/failure.ts";

export type NodeErrorCode =
  | "layer-missing"
  | "layer-in-use"
  | "slot-in-use"
  | "too-many-layers"
  | "no-loop-device"
  | "mount-failed"
  | "holder-failed"
  | "port-in-use"
  | "start-failed"
  | "launcher-failed"
  | "already-running"
  | "not-stopped"
  | "other-launcher"
  | "other-run-directory"
  | "path-too-long"
  | "wrong-name"
  | "no-user-id"
  | "data-missing"
  | "data-in-use"
  | "data-damaged"
  | "data-nested"
  | "other-driver"
  | "secret-key";

/** An effect on the node that could not be done. */
export class NodeError extends Failure {
  declare readonly code: NodeErrorCode;
  constructor(code: NodeErrorCode, message: string, options: FailureOptions = {}) {
    super("failed", code, message, options);
  }
}

export function missingLayer(file: string): NodeError {
  return new NodeError("layer-missing", `${file}: expected a laid-down layer, got no file`, {
    hint: REPAIR_HINT,
  });
}

/** The refusal to delete a snapshot while somebody reads it. */
export function snapshotInUse(app: string, id: string): NodeError {
  return new NodeError("data-in-use", `snapshot ${id} of ${app}: it is being read`, {
    hint: "hostd snapshot verify, or the background, reads it: try again after that",
  });
}
