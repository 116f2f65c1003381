import { endedBy, type Source } from "../../effects/source.ts";
import { envelopesPath, readEnvelopes } from "../../keys/envelopes.ts";
import { type Case, judgeImage, type Rule } from "../../keys/judge.ts";
import { openTrust } from "../../keys/trust.ts";
import { shortDigest } from "../../manifests/digest.ts";
import type { Examine, MayReturn } from "../engine.ts";
import { HostdError } from "../error.ts";

/** Rules that an image's statements have to satisfy. */
const OF_STATEMENTS: ReadonlySet<Rule> = new Set(["built", "tested", "clean"]);

export interface ExamineOptions {
  source: Source;
  trustDirectory: string;
  now: () => Date;
}

/**
 * Verifies a release with the keys this node holds: metadata fresh, release signed for the channel, and the policy's
 * demands met by the image's statements (design section 5). Refuses before a byte of the image is fetched.
 */
export function openExaminer(options: ExamineOptions): Examine {
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
    await judge(source, { policy: trust.policy, channel, image: release.image.digest, release, floor });
    return release;
  };
}

/** Judges a version that ran here before by the policy of today, or, where the repository is not fresh, by the last that was. */
export function openReturnJudge(options: ExamineOptions): MayReturn {
  return async ({ app, channel, image, sequence }, signal) => {
    const source = endedBy(signal, options.source);
    const { policy } = await openTrust({ source, directory: options.trustDirectory, now: options.now });
    await judge(source, { policy, channel, image });
    const floor = policy.channels[channel]?.floors[app] ?? 0;
    if (sequence >= floor) return;
    throw new HostdError(
      "not-allowed",
      `${shortDigest(image)}: expected a version of ${app} from sequence ${floor} on, got ${sequence}`,
      {
        hint: `ostler policy shows the floor; ostler promote ${app}@${shortDigest(image)} --to ${channel} releases it anew`,
      },
    );
  };
}

/** Throws what stands against an image. */
async function judge(source: Source, about: Omit<Case, "envelopes">): Promise<void> {
  const { channel, image } = about;
  const envelopes = await readEnvelopes(source, image);
  const verdict = judgeImage({ ...about, envelopes });
  if (verdict.allowed) return;
  const [first] = verdict.refusals;
  const message = first?.message ?? `${image} is not allowed in ${channel}`;
  const where = first !== undefined && OF_STATEMENTS.has(first.rule) ? ` (in ${envelopesPath(image)})` : "";
  throw new HostdError("not-allowed", `${message}${where}`, {
    hint: first?.hint,
    details: { image, refusals: verdict.refusals },
  });
}
