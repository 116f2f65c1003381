import { type Release, releasePath } from "../../../manifests/release.ts";
import { TrustError } from "../../error.ts";
import { makeTargets } from "../metadata.ts";
import { planDocument, planMetadata, type RepositoryState, type Signers, type Write } from "./metadata.ts";

/** A release of a product into its channel. */
export function planRelease(state: RepositoryState, release: Release, signers: Signers, now: Date): Write[] {
  const current = state.channels.get(release.channel)?.signed;
  if (current === undefined) {
    const known = [...state.channels.keys()].join(" or ");
    throw new TrustError("release", `channel ${release.channel}: expected ${known}, which the repository has`);
  }
  const document = planDocument(releasePath(release.channel, release.product), release);
  const targets = { ...current.targets, [document.target.path]: document.target };
  const changed = makeTargets(current.version + 1, targets, undefined, now);
  const { writes } = planMetadata(state, new Map([[release.channel, changed]]), signers, now);
  return [document.write, ...writes];
}
