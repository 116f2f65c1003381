/** How a failed command ends; each maps to one exit code (docs/architecture.md, "Exit codes"). */
export type Outcome = "failed" | "usage" | "refused" | "busy";

/** `left`: by Ctrl-C, SIGTERM or a closed terminal, before an end that is therefore not known. */
export const EXIT_CODES = { ok: 0, failed: 1, usage: 2, refused: 3, busy: 4, left: 130 } as const;

/** A failure as it crosses the hostd socket and as `--json` prints it. */
export interface FailureDocument {
  outcome: Outcome;
  code: string;
  message: string;
  hint?: string | undefined;
  details?: Record<string, unknown> | undefined;
}

export interface FailureOptions {
  /** What the reader can do next: a command where there is one. */
  hint?: string | undefined;
  details?: Record<string, unknown> | undefined;
  cause?: unknown;
}

/**
 * The base of every area's error class. `message` says what, where, expected and found, in lower case and
 * without a full stop; `hint` says what to do next. Each area extends it with a closed union of codes.
 */
export class Failure extends Error {
  readonly outcome: Outcome;
  readonly code: string;
  readonly hint: string | undefined;
  readonly details: Record<string, unknown> | undefined;

  constructor(outcome: Outcome, code: string, message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.outcome = outcome;
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }
}

/** The wire form of any error; an unexpected one becomes `failed` with code `internal`. */
export function toFailureDocument(error: unknown): FailureDocument {
  if (!(error instanceof Failure)) {
    const message = error instanceof Error ? error.message : String(error);
    return { outcome: "failed", code: "internal", message };
  }
  return {
    outcome: error.outcome,
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.details === undefined ? {} : { details: error.details }),
  };
}
