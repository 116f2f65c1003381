import { endedBy, type Source } from "../../effects/source.ts";
import { envelopesPath, readEnvelopes } from "../../keys/envelopes.ts";
import { judgeImage, type Rule } from "../../keys/judge.ts";
import { openTrust } from "../../keys/trust.ts";
import type { Examine } from "../engine.ts";
import { HostdError } from "../error.ts";

/** Rules that an image's statements have to satisfy. */
const OF_STATEMENTS: ReadonlySet<Rule> = new Set(["built", "tested", "clean"]);

/**
 * Verifies a release with the keys this node holds: metadata fresh, release signed for the channel, and the policy's
 * demands met by the image's statements (design section 5). Refuses before a byte of the image is fetched.
 */
export function openExaminer(options: { source: Source; trustDirectory: string; now: () => Date }): Examine {
  return async ({ app, channel, floor }, signal) => {
    const source = endedBy(signal, options.source);
    const trust = await openTrust({ source, directory: options.trustDirectory, now: options.now });
    if (!trust.fresh) {
      throw new HostdError("not-fresh", `${source.location}: ${trust.staleReason ?? "metadata is not fresh"}`, {
        hint: "what runs goes on; new versions wait until the repository's metadata is fresh again",
      });
    }
    const release = await trust.release(channel, app);
    if (release === undefined) {
      throw new HostdError("no-release", `channel ${channel} releases no ${app}`, {
        hint: `ostler promote ${app} --to ${channel} releases it`,
      });
    }
    const image = release.image.digest;
    const envelopes = await readEnvelopes(source, image);
    const verdict = judgeImage({ policy: trust.policy, channel, image, envelopes, release, floor });
    if (verdict.allowed) return release;
    const [first] = verdict.refusals;
    const message = first?.message ?? `${image} is not allowed in ${channel}`;
    const where = first !== undefined && OF_STATEMENTS.has(first.rule) ? ` (in ${envelopesPath(image)})` : "";
    throw new HostdError("not-allowed", `${message}${where}`, {
      hint: first?.hint,
      details: { image, refusals: verdict.refusals },
    });
  };
}
