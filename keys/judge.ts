import { type Digest, shortDigest } from "../manifests/digest.ts";
import type { Policy } from "../manifests/policy.ts";
import type { Release } from "../manifests/release.ts";
import { shortKeyid } from "./ed25519.ts";
import { type Evidence, readEvidence, type StatementRole } from "./evidence.ts";
import { findRoleProblems, policyAssignments } from "./roles.ts";

export type Rule = "policy-keys" | "channel" | "revoked" | "built" | "tested" | "clean" | "release" | "floor";

/** Something that was found: shown by `verify`, and what a verdict rests on. */
interface Fact {
  kind: "built" | "green" | "red" | "ignored" | "release";
  message: string;
  keyid?: string;
}

/** A rule that stops an image, whose role it is to satisfy it, what was found, and the command that would mend it. */
export interface Refusal {
  rule: Rule;
  role: string;
  digest: Digest;
  message: string;
  hint: string;
}

export type Verdict = { allowed: true; facts: Fact[] } | { allowed: false; refusals: Refusal[]; facts: Fact[] };

export interface Case {
  policy: Policy;
  channel: string;
  image: Digest;
  /** JSON values from outside, unverified. */
  envelopes: readonly unknown[];
  /** The release through which the image comes, where there is one yet. */
  release?: Release | undefined;
  /** The highest sequence of this product and channel that was accepted here before. */
  floor?: number | undefined;
}

/**
 * Whether an image may run from a channel (design section 5). Pure, and monotonic in the envelopes: what is allowed
 * stays allowed whatever else is added, and only statements signed by keys of the right role ever count.
 */
export function judgeImage(input: Case): Verdict {
  const { policy, image, envelopes } = input;
  const problems = findRoleProblems(policyAssignments(policy));
  if (problems.length > 0) return { allowed: false, refusals: [refusePolicy(input, problems)], facts: [] };
  const evidence = readEvidence(policy, image, envelopes);
  const facts = [...evidence.map(toFact), ...(input.release === undefined ? [] : [releaseFact(input.release)])];
  const refusals = [
    ...judgeRevocation(input),
    ...judgeChannel(input, evidence),
    ...(input.release === undefined ? [] : judgeRelease(input, input.release)),
  ];
  return refusals.length === 0 ? { allowed: true, facts } : { allowed: false, refusals, facts };
}

/** The newest verdict of a tester about an image, in the order of the envelopes; for people and for `promote` alone. */
export function latestMark(policy: Policy, image: Digest, envelopes: readonly unknown[]): "green" | "red" | undefined {
  const last = readEvidence(policy, image, envelopes).findLast(({ kind }) => kind === "green" || kind === "red");
  return last?.kind === "green" || last?.kind === "red" ? last.kind : undefined;
}

function judgeRevocation({ policy, image }: Case): Refusal[] {
  const revoked = policy.revoked.find(({ digest }) => digest === image);
  if (revoked === undefined) return [];
  const message = `${shortDigest(image)} is revoked: ${revoked.reason}`;
  return [refuse("revoked", "targets", image, message, "promote another image: `ostler images` lists them")];
}

function judgeChannel({ policy, channel, image }: Case, evidence: readonly Evidence[]): Refusal[] {
  const rules = Object.hasOwn(policy.channels, channel) ? policy.channels[channel] : undefined;
  if (rules === undefined) {
    const known = Object.keys(policy.channels).join(" or ") || "none";
    const message = `channel ${channel}: expected ${known}, which the policy has`;
    return [refuse("channel", "targets", image, message, "publish a policy that says what the channel requires")];
  }
  return rules.requires.flatMap((rule) => {
    switch (rule) {
      case "built":
        return judgeBuilt(image, evidence);
      case "tested":
        return judgeTested(image, evidence, rules.suites);
      case "clean":
        return judgeClean(image, evidence);
      default:
        return rule satisfies never;
    }
  });
}

function judgeBuilt(image: Digest, evidence: readonly Evidence[]): Refusal[] {
  if (evidence.some(({ kind }) => kind === "built")) return [];
  const message = `${shortDigest(image)}: expected provenance by a builder key, got ${describe(evidence, "builder")}`;
  return [refuse("built", "builder", image, message, "build it where the builder key is: `ostler ci RECIPE`")];
}

function judgeTested(image: Digest, evidence: readonly Evidence[], suites: readonly string[]): Refusal[] {
  const greens = evidence.filter((one) => one.kind === "green");
  const passed = new Set(greens.flatMap((green) => green.suites));
  const missing = suites.filter((suite) => !passed.has(suite));
  if (greens.length > 0 && missing.length === 0) return [];
  const hint = "make its tests pass where the tester key is: `ostler ci RECIPE`";
  if (greens.length === 0) {
    const message = `${shortDigest(image)}: expected a green mark by a tester key, got ${describe(evidence, "tester")}`;
    return [refuse("tested", "tester", image, message, hint)];
  }
  const found = [...passed].join(", ") || "none";
  const message = `${shortDigest(image)}: expected green marks for suites ${missing.join(", ")}, got suites ${found}`;
  return [refuse("tested", "tester", image, message, hint)];
}

function judgeClean(image: Digest, evidence: readonly Evidence[]): Refusal[] {
  const builds = evidence.filter((one) => one.kind === "built");
  if (builds.some(({ clean, commit }) => clean && commit !== undefined)) return [];
  const dirty = builds.length > 0 ? "only builds from a tree that is not committed" : describe(evidence, "builder");
  const message = `${shortDigest(image)}: expected provenance of a committed, clean tree, got ${dirty}`;
  return [
    refuse(
      "clean",
      "builder",
      image,
      message,
      "commit what `ostler ci RECIPE` names (often NAME.recipe.lock), then run it again",
    ),
  ];
}

function judgeRelease({ policy, channel, image, floor }: Case, release: Release): Refusal[] {
  const refusals: Refusal[] = [];
  const { product, sequence } = release;
  const promote = `publish a newer release: \`ostler promote ${product} --to ${channel}\``;
  if (release.channel !== channel || release.image.digest !== image) {
    const found = `${shortDigest(release.image.digest)} in ${release.channel}`;
    const message = `release ${sequence} of ${product}: expected ${shortDigest(image)} in ${channel}, got ${found}`;
    refusals.push(refuse("release", channel, image, message, promote));
  }
  const lowest = Math.max(floor ?? 0, policy.channels[channel]?.floors[product] ?? 0);
  if (sequence < lowest) {
    const message = `${shortDigest(image)}: expected a release of ${product} from sequence ${lowest} on, got ${sequence}`;
    refusals.push(refuse("floor", channel, image, message, promote));
  }
  return refusals;
}

function refusePolicy({ image }: Case, problems: readonly string[]): Refusal {
  const message = `the policy is refused: ${problems.join("; ")}`;
  return refuse("policy-keys", "targets", image, message, "publish a policy in which each key holds one role");
}

function refuse(rule: Rule, role: string, digest: Digest, message: string, hint: string): Refusal {
  return { rule, role, digest, message, hint };
}

/** What was found in place of the statement that a role should have signed. */
function describe(evidence: readonly Evidence[], role: StatementRole): string {
  const found = evidence.flatMap((one) => {
    if (one.kind === "red" && role === "tester") return [describeRed(one)];
    if (one.kind === "ignored" && one.wanted.includes(role)) {
      const reason = one.reason.replace("a builder or tester key", `a ${role} key`);
      return [`statement ${one.line}, ${reason}`];
    }
    return [];
  });
  return found.length === 0 ? "none" : found.slice(0, 5).join("; ");
}

function describeRed({ key, result, failed }: Extract<Evidence, { kind: "red" }>): string {
  const tests = failed.length === 0 ? "" : ` (${failed.slice(0, 5).join(", ")})`;
  return `${result === "PASSED" ? "FAILED" : result} by tester key ${shortKeyid(key.keyid)}${tests}`;
}

function toFact(evidence: Evidence): Fact {
  switch (evidence.kind) {
    case "built": {
      const tree = evidence.clean && evidence.commit !== undefined ? "clean tree" : "tree not committed";
      const from = `commit ${evidence.commit?.slice(0, 12) ?? "none"}, ${tree}`;
      return fact("built", `built by builder key ${shortKeyid(evidence.key.keyid)} from ${from}`, evidence.key.keyid);
    }
    case "green": {
      const suites = `${evidence.passed} tests, suites ${evidence.suites.join(", ") || "none"}`;
      return fact("green", `PASSED by tester key ${shortKeyid(evidence.key.keyid)}: ${suites}`, evidence.key.keyid);
    }
    case "red":
      return fact("red", describeRed(evidence), evidence.key.keyid);
    case "ignored":
      return fact("ignored", `statement ${evidence.line}: ${evidence.reason}`);
    default:
      return evidence satisfies never;
  }
}

function releaseFact({ product, channel, sequence, version }: Release): Fact {
  return fact("release", `release ${sequence} of ${product} in ${channel}, version ${version}`);
}

function fact(kind: Fact["kind"], message: string, keyid?: string): Fact {
  return keyid === undefined ? { kind, message } : { kind, message, keyid };
}
