import { Failure } from "../../manifests/failure.ts";
import { showPath } from "../entry.ts";

export type TarErrorCode =
  | "tar-damaged"
  | "tar-truncated"
  | "tar-path"
  | "tar-attribute"
  | "tar-unsupported"
  | "tar-limit";

/** A tar that is damaged, or that uses a form which would have to be guessed at. */
export class TarError extends Failure {
  declare readonly code: TarErrorCode;
  constructor(code: TarErrorCode, message: string) {
    super("failed", code, message);
  }
}

/** The error of one entry, which its message names. */
export function entryError(code: TarErrorCode, path: string, message: string): TarError {
  return new TarError(code, `tar entry ${showPath(path)}: ${message}`);
}
