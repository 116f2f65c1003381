import { Failure } from "../manifests/failure.ts";

export type CompressionErrorCode = "compression-damaged" | "compression-limit" | "compression-unknown";

/** Compressed bytes that are not what they claim to be, or that unpack to more than they may. */
export class CompressionError extends Failure {
  declare readonly code: CompressionErrorCode;
  constructor(code: CompressionErrorCode, message: string, cause?: unknown) {
    super("failed", code, message, { cause });
  }
}
