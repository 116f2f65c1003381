import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { appExample, appSchema } from "../../../manifests/app.ts";
import { isDigest, shortDigest } from "../../../manifests/digest.ts";
import { canonicalJson, checkDocument, DocumentError } from "../../../manifests/document.ts";
import { Failure, toFailureDocument } from "../../../manifests/failure.ts";
import { parseImageConfig, parseManifest, verityOf } from "../../../manifests/image.ts";
import { inventoryExample, parseInventory } from "../../../manifests/inventory.ts";
import { lockExample, parseLock } from "../../../manifests/lock.ts";
import { parsePolicy, policyExample } from "../../../manifests/policy.ts";
import { parseRelease, releaseExample } from "../../../manifests/release.ts";
import { parseRollout, rolloutExample } from "../../../manifests/rollout.ts";
import { parseStatement } from "../../../manifests/statement.ts";

const parsers = {
  parseManifest,
  parseImageConfig,
  parseInventory,
  parseLock,
  parsePolicy,
  parseRelease,
  parseRollout,
  parseStatement,
};

describe("documents from outside", () => {
  test.each([
    ["app", appExample, (bytes: Buffer) => checkDocument(JSON.parse(bytes.toString()), appSchema, "app")],
    ["release", releaseExample, parseRelease],
    ["policy", policyExample, parsePolicy],
    ["lock", lockExample, parseLock],
    ["inventory", inventoryExample, parseInventory],
    ["rollout", rolloutExample, parseRollout],
  ])("the %s example passes its own parser unchanged", (_name, example, parse) => {
    expect(parse(Buffer.from(canonicalJson(example)))).toEqual(example);
  });

  test.each(Object.entries(parsers))("%s answers any bytes with a document or a DocumentError", (_name, parse) => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          try {
            parse(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(DocumentError);
          }
        },
      ),
    );
  });

  test("every bad field is reported at once", () => {
    const bad = { ...releaseExample, sequence: 0, image: { digest: "sha256:12", size: 1 }, colour: "red" };
    expect(() => parseRelease(Buffer.from(JSON.stringify(bad)))).toThrow(/sequence: .*image\.digest: .*colour/s);
  });

  test("a document over its limit is refused before it is parsed", () => {
    expect(() => parseRelease(Buffer.alloc(300_000, 0x20))).toThrow("expected at most 262144 bytes, got 300000");
  });

  test("a layer without a verity root is refused", () => {
    const layer = { mediaType: "x", digest: `sha256:${"a".repeat(64)}` as const, size: 1 };
    expect(() => verityOf(layer)).toThrow("expected annotation dev.ostler.layer.verity-root");
  });
});

test("canonicalJson gives one form whatever the order of the keys", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const shuffled = Object.fromEntries(Object.entries(value).reverse());
      expect(canonicalJson(shuffled)).toBe(canonicalJson(value));
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test("isDigest accepts only sha256 and 64 lower-case hex digits", () => {
  expect(isDigest(`sha256:${"a".repeat(64)}`)).toBe(true);
  expect(isDigest(`sha256:${"A".repeat(64)}`)).toBe(false);
  expect(isDigest(`sha512:${"a".repeat(64)}`)).toBe(false);
  expect(shortDigest(`sha256:${"0123456789abcdef".repeat(4)}`)).toBe("0123456789ab");
});

test("toFailureDocument keeps code and hint, and calls anything unexpected internal", () => {
  const failure = new Failure("busy", "app-busy", "shop is busy", { hint: "wait", details: { holder: "op-1" } });
  expect(toFailureDocument(failure)).toEqual({
    outcome: "busy",
    code: "app-busy",
    message: "shop is busy",
    hint: "wait",
    details: { holder: "op-1" },
  });
  expect(toFailureDocument(new Error("boom"))).toEqual({ outcome: "failed", code: "internal", message: "boom" });
});
