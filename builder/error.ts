import { Failure, type FailureOptions } from "../manifests/failure.ts";

export type BuildErrorCode =
  | "needs-root"
  | "program-missing"
  | "recipe-missing"
  | "recipe-encoding"
  | "context-missing"
  | "context-escape"
  | "context-file"
  | "context-git"
  | "source-missing"
  | "source-changed"
  | "template"
  | "no-program"
  | "destination"
  | "user-unknown"
  | "path"
  | "library-missing"
  | "not-elf"
  | "secret-missing"
  | "run-failed"
  | "overlay"
  | "base-unreachable"
  | "base-missing"
  | "base-damaged"
  | "base-drift"
  | "cache-damaged"
  | "lock-damaged"
  | "lock-missing"
  | "empty-image"
  | "boot-file"
  | "disk-full"
  | "not-reproducible"
  | "interrupted";

/** A build that cannot go on; the message starts with `file:line:` where a line of the recipe is the cause. */
export class BuildError extends Failure {
  declare readonly code: BuildErrorCode;
  constructor(code: BuildErrorCode, message: string, options: FailureOptions = {}) {
    super(code === "base-drift" || code === "lock-missing" ? "refused" : "failed", code, message, options);
  }
}
