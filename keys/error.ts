import { Failure, type FailureOptions, type Outcome } from "../manifests/failure.ts";

const OUTCOMES = {
  "key-encoding": "refused",
  "key-small-order": "refused",
  "key-roles": "refused",
  "key-file": "failed",
  "key-missing": "failed",
  "keys-exist": "refused",
  "keys-lost": "refused",
  "passphrase-missing": "usage",
  "passphrase-wrong": "failed",
  envelope: "refused",
  signature: "refused",
  "metadata-signature": "refused",
  "metadata-rollback": "refused",
  "metadata-hash": "refused",
  "metadata-shape": "refused",
  "metadata-expired": "refused",
  "metadata-missing": "failed",
  policy: "refused",
  release: "refused",
  "not-seeded": "failed",
  "trust-damaged": "failed",
  "already-seeded": "refused",
  "repository-missing": "failed",
  "repository-busy": "busy",
} as const satisfies Record<string, Outcome>;

export type TrustErrorCode = keyof typeof OUTCOMES;

/** A key, envelope, metadata file or document that is not trusted, or a key that is not at hand. */
export class TrustError extends Failure {
  declare readonly code: TrustErrorCode;
  constructor(code: TrustErrorCode, message: string, options: FailureOptions = {}) {
    super(OUTCOMES[code], code, message, options);
  }
}
