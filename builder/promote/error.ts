import type { Refusal } from "../../keys/judge.ts";
import type { Digest } from "../../manifests/digest.ts";
import { shortDigest } from "../../manifests/digest.ts";
import { Failure, type FailureOptions, type Outcome } from "../../manifests/failure.ts";

const OUTCOMES = {
  "image-refused": "refused",
  "channel-unknown": "failed",
  "product-missing": "refused",
  "bad-version": "usage",
  "store-missing": "failed",
  "repository-stale": "failed",
} as const satisfies Record<string, Outcome>;

export type PromoteErrorCode = keyof typeof OUTCOMES;

/** An image that may not be promoted, or whose promotion cannot be decided. */
export class PromoteError extends Failure {
  declare readonly code: PromoteErrorCode;
  constructor(code: PromoteErrorCode, message: string, options: FailureOptions = {}) {
    super(OUTCOMES[code], code, message, options);
  }
}

/** One error for all refusals of an image: each with its rule, the first one's hint as the next command. */
export function refusedImage(product: string, image: Digest, channel: string, refusals: readonly Refusal[]) {
  const lines = refusals.map(({ rule, role, message, hint }) => `\n  ${rule} (${role}): ${message}\n    ${hint}`);
  const head = `${product} ${shortDigest(image)} may not go to ${channel}:`;
  return new PromoteError("image-refused", `${head}${lines.join("")}`, {
    hint: refusals[0]?.hint,
    details: { image, channel, refusals: [...refusals] },
  });
}

/** Metadata that is not fresh: nothing is decided by it. `next` is what makes it so. */
export function staleRepository(directory: string, reason: string | undefined, next: string): PromoteError {
  const message = `${directory}: expected fresh metadata, got: ${reason}`;
  return new PromoteError("repository-stale", message, { hint: `\`ostler keys refresh\` ${next}` });
}
