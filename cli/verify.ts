import { join } from "node:path";
import { openBuiltStore } from "../builder/promote/open-store.ts";
import { type Verification, verifyImage } from "../builder/promote/verify.ts";
import { openSource, type Source } from "../effects/source.ts";
import { TrustError } from "../keys/error.ts";
import { openTrust, type Trust } from "../keys/trust.ts";
import { type Digest, isDigest, shortDigest } from "../manifests/digest.ts";
import { EXIT_CODES } from "../manifests/failure.ts";
import { BLOBS } from "../manifests/image.ts";
import type { Release } from "../manifests/release.ts";
import { bytes, table } from "../terminal/table.ts";
import type { Answer, Verb } from "../terminal/verb.ts";
import { homeOption, referenceOf, stringOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "verify",
  summary: "judge an image as a node does, and check every blob of it",
  arguments: [{ name: "<image>", summary: "name, digest or start of a digest; with --repository a product or digest" }],
  options: [
    { flags: "--channel <channel>", summary: "channel whose rules apply", default: "production" },
    { flags: "--explain", summary: "tell for each rule what was found and the command that would mend it" },
    { flags: "--repository <place>", summary: "verify what this directory or address offers, not the store" },
  ],
  examples: ["ostler verify shop", "ostler verify shop --channel staging --explain"],
  async run({ arguments: [argument], options }) {
    const { directory, repository, trust: trustDirectory } = homeOption(options);
    const channel = stringOption(options, "channel") ?? "production";
    const offered = openSource(repository);
    const trust = await openTrust({ source: offered, directory: trustDirectory, now: () => new Date() });
    const reference = referenceOf(argument);
    const place =
      options["repository"] === undefined
        ? await fromStore(join(directory, "store"), reference)
        : await fromRepository(offered, trust, channel, reference);
    const verification = await verifyImage({ trust, channel, ...place });
    return answer(verification, trust, repository, options["explain"] === true);
  },
};

interface Place {
  source: Source;
  blobs: string;
  image: Digest;
  release?: Release;
}

async function fromStore(directory: string, reference: string): Promise<Place> {
  const store = await openBuiltStore(directory);
  const { digest: image } = await store.resolve(reference);
  return { source: openSource(directory), blobs: "blobs/sha256", image };
}

/** A product means its release in the channel; a digest means itself. */
async function fromRepository(source: Source, trust: Trust, channel: string, reference: string): Promise<Place> {
  if (isDigest(reference)) return { source, blobs: BLOBS, image: reference };
  const release = await trust.release(channel, reference);
  if (release !== undefined) return { source, blobs: BLOBS, image: release.image.digest, release };
  throw new TrustError("release", `${source.location}: expected a release of ${reference} in ${channel}, got none`, {
    hint: `\`ostler promote ${reference} --to ${channel}\` makes one; a whole digest is verified without a release`,
  });
}

function answer(verification: Verification, trust: Trust, repository: string, explain: boolean): Answer {
  const { image, channel, verdict, blobs, allowed } = verification;
  const refusals = verdict.allowed ? [] : verdict.refusals;
  const damaged = blobs.flatMap(({ problem }) => (problem === undefined ? [] : [problem]));
  const facts = verdict.facts.filter(({ kind }) => explain || kind !== "ignored");
  const rows = [
    ...facts.map(({ kind, message }) => ["found", kind, message]),
    ...blobs.map(({ what, digest, size, problem }) => {
      return [
        problem === undefined ? "found" : "REFUSED",
        what,
        problem ?? `${shortDigest(digest)}, ${bytes(size)}, whole`,
      ];
    }),
    ...refusals.map(({ rule, message }) => ["REFUSED", rule, message]),
  ];
  const verdictLine = `${shortDigest(image)} in ${channel}: ${allowed ? "allowed" : "refused"}`;
  const stale = trust.fresh ? [] : [`not fresh, nodes install nothing new: ${repository}: ${trust.staleReason}`];
  const hints = explain ? refusals.map(({ rule, role, hint }) => `to mend ${rule} (role ${role}): ${hint}`) : [];
  return {
    json: {
      schema: 1,
      image,
      channel,
      allowed,
      fresh: trust.fresh,
      ...(trust.staleReason === undefined ? {} : { staleReason: trust.staleReason }),
      facts: verdict.facts,
      refusals,
      blobs: blobs.map(({ problem, ...blob }) => ({ ...blob, ...(problem === undefined ? {} : { problem }) })),
    },
    text: [table(["", "WHAT", "DETAIL"], rows), "", ...stale, ...hints, verdictLine].join("\n"),
    exitCode: allowed && damaged.length === 0 ? EXIT_CODES.ok : EXIT_CODES.refused,
  };
}
