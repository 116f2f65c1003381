import { createPrivateKey, sign as nodeSign } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import nacl from "tweetnacl";
import { describe, expect, test } from "vitest";
import { importPublicKey, verifySignature } from "../../../keys/ed25519.ts";
import { generateSeed, signerFromSeed } from "../../../keys/signer.ts";

interface Wycheproof {
  testGroups: {
    publicKey: { pk: string };
    tests: { tcId: number; comment: string; msg: string; sig: string; result: "valid" | "invalid" }[];
  }[];
}

const wycheproof = readVectors<Wycheproof>("wycheproof-ed25519.json");
const speccheck = readVectors<{ message: string; pub_key: string; signature: string }[]>("ed25519-speccheck.json");
const cases = wycheproof.testGroups.flatMap(({ publicKey, tests }) => tests.map((one) => ({ ...one, ...publicKey })));

const FIELD_PRIME = 2n ** 255n - 19n;
/** y of the eight small-order points, from the curve equation: 1, -1, 0 twice, and four of order 8. */
const SMALL_ORDER = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];

describe("verifySignature", () => {
  test("agrees with all 151 Wycheproof cases", () => {
    expect(cases).toHaveLength(151);
    const wrong = cases.filter(({ pk, msg, sig, result }) => {
      return verifySignature(importPublicKey(pk), hex(msg), hex(sig)) !== (result === "valid");
    });
    expect(wrong).toEqual([]);
  });

  test("accepts every signature that tweetnacl makes, and no other message for it", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ maxLength: 300 }),
        (seed, message) => {
          const signer = signerFromSeed(seed);
          const signature = signer.sign(message);
          expect(verifySignature(signer.key, message, signature)).toBe(true);
          expect(verifySignature(signer.key, Buffer.concat([message, Buffer.of(0)]), signature)).toBe(false);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("signerFromSeed", () => {
  test("signs byte for byte as node:crypto does", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ maxLength: 300 }),
        (seed, message) => {
          const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
          const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
          expect(signerFromSeed(seed).sign(message)).toEqual(nodeSign(null, message, key));
        },
      ),
      { numRuns: 40 },
    );
  });

  test("gives another key for each generated seed", () => {
    expect(signerFromSeed(generateSeed()).key.hex).not.toBe(signerFromSeed(generateSeed()).key.hex);
  });
});

describe("tweetnacl held against node:crypto", () => {
  test("accepts every valid Wycheproof case", () => {
    const valid = cases.filter(({ result }) => result === "valid");
    const refused = valid.filter(({ pk, msg, sig }) => !nacl.sign.detached.verify(hex(msg), hex(sig), hex(pk)));
    expect(refused).toEqual([]);
  });

  test("accepts some that are malleable, which is why node:crypto verifies", () => {
    const invalid = cases.filter(({ result, sig }) => result === "invalid" && sig.length === 128);
    const accepted = invalid.filter(({ pk, msg, sig }) => nacl.sign.detached.verify(hex(msg), hex(sig), hex(pk)));
    expect(accepted.length).toBeGreaterThan(0);
  });
});

describe("importPublicKey", () => {
  test.each(SMALL_ORDER)("refuses the small-order point %s", (key) => {
    expect(() => importPublicKey(key)).toThrow(expect.objectContaining({ code: "key-small-order" }));
  });

  test("refuses the small-order keys of speccheck cases 0 and 1, which node:crypto would accept", () => {
    for (const { pub_key } of speccheck.slice(0, 2)) {
      expect(() => importPublicKey(pub_key)).toThrow(expect.objectContaining({ code: "key-small-order" }));
    }
  });

  test("refuses the non-canonical keys of speccheck cases 10 and 11", () => {
    for (const { pub_key } of speccheck.slice(10, 12)) {
      expect(() => importPublicKey(pub_key)).toThrow(expect.objectContaining({ code: "key-encoding" }));
    }
  });

  test.each([
    ["a sign where x is 0", `01${"00".repeat(30)}80`],
    ["y = p", encode(FIELD_PRIME)],
    ["y = p + 1", encode(FIELD_PRIME + 1n)],
    ["y = 2^255 - 1", encode(2n ** 255n - 1n)],
    ["y that no point has", encode(2n)],
  ])("refuses %s", (_, key) => {
    expect(() => importPublicKey(key)).toThrow(expect.objectContaining({ code: "key-encoding" }));
  });

  test.each(["", "00", "AB".repeat(32), "zz".repeat(32), "ab".repeat(33)])("refuses %j as hex", (text) => {
    expect(() => importPublicKey(text)).toThrow(expect.objectContaining({ code: "key-encoding" }));
  });

  test("names a key by the SHA-256 of its bytes", () => {
    const key = importPublicKey("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    expect(key.keyid).toBe("21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9");
  });
});

function encode(y: bigint): string {
  return Buffer.from(y.toString(16).padStart(64, "0"), "hex").reverse().toString("hex");
}

function hex(text: string): Buffer {
  return Buffer.from(text, "hex");
}

function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), "utf8"));
}
