import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Envelope } from "../../../keys/dsse.ts";
import { judgeImage, latestMark, type Rule } from "../../../keys/judge.ts";
import { type Signer, signerFromSeed } from "../../../keys/signer.ts";
import { signStatement, testResultStatement } from "../../../keys/statements.ts";
import { digestFromHex } from "../../../manifests/digest.ts";
import { type Policy, parsePolicy } from "../../../manifests/policy.ts";
import type { Release } from "../../../manifests/release.ts";
import { markOf, provenanceOf } from "../../small-image.ts";

const image = digestFromHex("a".repeat(64));
const other = digestFromHex("b".repeat(64));
const builder = signerFromSeed(Buffer.alloc(32, 1));
const tester = signerFromSeed(Buffer.alloc(32, 2));
const stranger = signerFromSeed(Buffer.alloc(32, 3));

const policy = makePolicy({});
const built = provenanceOf(image, builder);
const green = markOf(image, tester, { passed: ["orders are kept"] });
const red = markOf(image, tester, { failed: ["orders are kept"] });

describe("judgeImage", () => {
  test("allows an image that is built, tested and clean, and says by which keys", () => {
    const verdict = judge([built, green]);
    expect(verdict.allowed).toBe(true);
    expect(verdict.facts.map(({ kind, keyid }) => [kind, keyid])).toEqual([
      ["built", builder.key.keyid],
      ["green", tester.key.keyid],
    ]);
  });

  test.each<[string, Rule, unknown[], string]>([
    ["without statements", "built", [], "got none"],
    [
      "whose provenance is not by a builder key",
      "built",
      [provenanceOf(image, stranger), green],
      "which is not a builder key",
    ],
    ["whose provenance is by the tester key", "built", [provenanceOf(image, tester), green], "signed by tester key"],
    [
      "whose provenance is about another image",
      "built",
      [provenanceOf(other, builder), green],
      "it is about another image",
    ],
    ["without a mark", "tested", [built], "expected a green mark by a tester key, got none"],
    [
      "marked by a key that is not a tester's",
      "tested",
      [built, markOf(image, stranger, {})],
      "which is not a tester key",
    ],
    ["marked by the builder key", "tested", [built, markOf(image, builder, {})], "signed by builder key"],
    ["marked red", "tested", [built, red], "FAILED by tester key"],
    ["marked WARNED", "tested", [built, sign(tester, { result: "WARNED" })], "WARNED by tester key"],
    [
      "marked PASSED with a failed test in it",
      "tested",
      [built, sign(tester, { failedTests: ["x"] })],
      "FAILED by tester",
    ],
    [
      "built from a tree that is not clean",
      "clean",
      [provenanceOf(image, builder, { clean: false }), green],
      "not committed",
    ],
    ["built from no commit", "clean", [provenanceOf(image, builder, { commit: undefined }), green], "not committed"],
    ["whose statement was changed", "built", [change(built), green], "it was changed or forged"],
  ])("refuses an image %s, by the rule and with what was found", (_, rule, envelopes, found) => {
    const verdict = judge(envelopes);
    expect(verdict.allowed).toBe(false);
    const refusal = verdict.allowed ? undefined : verdict.refusals.find((one) => one.rule === rule);
    expect(refusal?.message).toContain(found);
    expect(refusal?.message).toContain("aaaaaaaaaaaa");
    expect(refusal?.hint).not.toBe("");
  });

  test("refuses a revoked image whatever else is signed, with the reason", () => {
    const revoking = makePolicy({ revoked: [{ digest: image, reason: "leaks orders" }] });
    expect(refusalsOf(judge([built, green], { policy: revoking }))).toEqual([
      ["revoked", "aaaaaaaaaaaa is revoked: leaks orders"],
    ]);
  });

  test("refuses a channel that the policy does not have, one named like an object's own too", () => {
    for (const channel of ["nightly", "constructor", "__proto__"]) {
      expect(refusalsOf(judge([built, green], { channel }))[0]?.[0]).toBe("channel");
    }
  });

  test("asks for every required suite, which several greens may pass together", () => {
    const strict = makePolicy({ suites: ["unit", "vm"] });
    const unit = markOf(image, tester, { suites: ["unit"], passed: ["a"] });
    const vm = markOf(image, tester, { suites: ["vm"], passed: ["b"] });
    expect(refusalsOf(judge([built, unit], { policy: strict }))).toEqual([
      ["tested", "aaaaaaaaaaaa: expected green marks for suites vm, got suites unit"],
    ]);
    expect(judge([built, unit, vm], { policy: strict }).allowed).toBe(true);
  });

  test("asks of a channel only what the policy requires of it", () => {
    expect(judge([built], { channel: "staging" }).allowed).toBe(true);
  });

  test("a red beside a green is shown and decides nothing, since anyone could withhold it", () => {
    const verdict = judge([built, green, red]);
    expect(verdict.allowed).toBe(true);
    expect(verdict.facts.map(({ kind }) => kind)).toEqual(["built", "green", "red"]);
  });

  test("refuses a policy in which one key builds and tests", () => {
    const muddled = makePolicy({ testers: [builder] });
    const verdict = judge([built, markOf(image, builder, {})], { policy: muddled });
    expect(refusalsOf(verdict)[0]?.[0]).toBe("policy-keys");
    expect(refusalsOf(verdict)[0]?.[1]).toContain("expected one role, got builder and tester");
  });

  test("refuses a policy with a small-order key", () => {
    const weak = { keyid: "0".repeat(64), public: `01${"00".repeat(31)}` };
    const verdict = judge([built, green], { policy: { ...policy, testers: [...policy.testers, weak] } });
    expect(refusalsOf(verdict)[0]?.[0]).toBe("policy-keys");
  });

  test.each([
    ["of another image", { image: { digest: other, size: 1 } }, undefined, "release"],
    ["into another channel", { channel: "staging" }, undefined, "release"],
    ["below the policy's floor", { sequence: 2 }, undefined, "floor"],
    ["below what the node accepted before", { sequence: 5 }, 6, "floor"],
  ] as const)("refuses a release %s", (_, change, floor, rule) => {
    const verdict = judge([built, green], { release: { ...makeRelease(), ...change }, floor });
    expect(refusalsOf(verdict).map(([found]) => found)).toEqual([rule]);
  });

  test("takes a release at its floor again", () => {
    expect(judge([built, green], { release: makeRelease(), floor: 5 }).allowed).toBe(true);
  });

  test("gives every refusal at once", () => {
    expect(refusalsOf(judge([])).map(([rule]) => rule)).toEqual(["built", "tested", "clean"]);
  });
});

describe("judgeImage, for any envelopes", () => {
  const bad = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(
      red,
      change(built),
      change(green),
      provenanceOf(image, stranger),
      markOf(image, stranger, {}),
      markOf(image, builder, {}),
      provenanceOf(image, tester),
      provenanceOf(other, builder),
      markOf(other, tester, {}),
      { ...green, payloadType: "text/plain" },
      { ...green, signatures: built.signatures },
      { ...built, signatures: [] },
    ),
  );

  test("no collection of bad ones, with one good one or none, is ever allowed", () => {
    fc.assert(
      fc.property(fc.array(bad, { maxLength: 8 }), fc.constantFrom([], [built], [green]), (envelopes, good) => {
        expect(judge([...good, ...envelopes]).allowed).toBe(false);
      }),
    );
  });

  test("adding any to an allowed image never refuses it, wherever they stand", () => {
    fc.assert(
      fc.property(fc.array(bad, { maxLength: 6 }), fc.array(bad, { maxLength: 6 }), (before, after) => {
        expect(judge([...before, green, ...after, built]).allowed).toBe(true);
      }),
    );
  });
});

describe("latestMark", () => {
  test("is the last verdict by a tester key, others do not count", () => {
    expect(latestMark(policy, image, [built, green, red])).toBe("red");
    expect(latestMark(policy, image, [red, green, markOf(image, stranger, { failed: ["x"] })])).toBe("green");
    expect(latestMark(policy, image, [built])).toBeUndefined();
  });
});

function judge(envelopes: readonly unknown[], change: Partial<Parameters<typeof judgeImage>[0]> = {}) {
  return judgeImage({ policy, channel: "production", image, envelopes, ...change });
}

function refusalsOf(verdict: ReturnType<typeof judgeImage>): [Rule, string][] {
  return verdict.allowed ? [] : verdict.refusals.map(({ rule, message }) => [rule, message]);
}

function makePolicy(change: { suites?: string[]; testers?: Signer[]; revoked?: Policy["revoked"] }): Policy {
  const document = {
    schema: 1,
    builders: [publicOf(builder)],
    testers: [tester, ...(change.testers ?? [])].map(publicOf),
    channels: {
      staging: { requires: ["built"] },
      production: { requires: ["built", "tested", "clean"], suites: change.suites ?? [], floors: { shop: 3 } },
    },
    revoked: change.revoked ?? [],
  };
  return parsePolicy(Buffer.from(JSON.stringify(document)));
}

function publicOf({ key }: Signer) {
  return { keyid: key.keyid, public: key.hex };
}

function sign(signer: Signer, change: object): Envelope {
  const statement = testResultStatement(image, { name: "shop", suites: [], passed: ["x"], failed: [] });
  return signStatement({ ...statement, predicate: { ...statement.predicate, ...change } }, signer);
}

function change(envelope: Envelope): Envelope {
  const payload = Buffer.from(envelope.payload, "base64");
  payload[payload.length - 10] = (payload[payload.length - 10] ?? 0) ^ 1;
  return { ...envelope, payload: payload.toString("base64") };
}

function makeRelease(): Release {
  return {
    schema: 1,
    product: "shop",
    channel: "production",
    sequence: 5,
    version: "1.0.0",
    image: { digest: image, size: 1 },
    config: {},
    created: "2026-01-01T00:00:00Z",
  };
}
