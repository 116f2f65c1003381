import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Envelope, parseEnvelope, preAuthEncode, signEnvelope, verifyEnvelope } from "../../../keys/dsse.ts";
import { importPublicKey } from "../../../keys/ed25519.ts";
import { TrustError } from "../../../keys/error.ts";
import { signerFromSeed } from "../../../keys/signer.ts";

interface Vector {
  id: string;
  envelope: Envelope;
  trustedKeys: string[];
  threshold: number;
  supportedPayloadTypes: string[];
  pae: string;
  expect: "accept" | "reject";
}

const file = JSON.parse(readFileSync(new URL("../../fixtures/dsse.json", import.meta.url), "utf8"));
const vectors: Vector[] = file.vectors;
const TYPE = "application/vnd.in-toto+json";
const [alice, bob, eve] = [1, 2, 3].map((byte) => signerFromSeed(Buffer.alloc(32, byte)));
if (alice === undefined || bob === undefined || eve === undefined) throw new Error("expected three signers");
const accept = { keys: [alice.key, bob.key], threshold: 1, payloadTypes: [TYPE] };

describe("verifyEnvelope", () => {
  test.each(vectors)("gives the published verdict on $id", (vector) => {
    const keys = vector.trustedKeys.map((name) => importPublicKey(file.keys[name].public));
    const options = { keys, threshold: vector.threshold, payloadTypes: vector.supportedPayloadTypes };
    if (vector.expect === "reject") expect(() => verifyEnvelope(vector.envelope, options)).toThrow(TrustError);
    else expect(verifyEnvelope(vector.envelope, options).signedBy).toHaveLength(vector.threshold);
  });

  test("returns exactly the signed bytes and who signed them", () => {
    const payload = Buffer.from([0, 255, 10, 13]);
    const { payload: found, signedBy } = verifyEnvelope(signEnvelope(TYPE, payload, [bob]), accept);
    expect(found).toEqual(payload);
    expect(signedBy).toEqual([bob.key]);
  });

  test("does not let a keyid choose the key: a wrong or missing one changes nothing", () => {
    const envelope = signEnvelope(TYPE, Buffer.from("x"), [alice]);
    const [signature] = envelope.signatures;
    for (const keyid of [bob.key.keyid, "", null, undefined]) {
      const renamed = { ...envelope, signatures: [{ ...signature, keyid }] };
      expect(verifyEnvelope(renamed, accept).signedBy).toEqual([alice.key]);
    }
  });

  test("counts a key once when it signs twice and when it is accepted twice", () => {
    const envelope = signEnvelope(TYPE, Buffer.from("x"), [alice, alice]);
    const options = { ...accept, keys: [alice.key, alice.key, bob.key], threshold: 2 };
    expect(() => verifyEnvelope(envelope, options)).toThrow(expect.objectContaining({ code: "signature" }));
  });

  test("accepts nothing at threshold 0 without a signature", () => {
    const envelope = signEnvelope(TYPE, Buffer.from("x"), [eve]);
    expect(() => verifyEnvelope(envelope, { ...accept, threshold: 0 })).toThrow(
      expect.objectContaining({ code: "signature" }),
    );
  });

  test("refuses an envelope of which any byte of payload, type or signature changed", () => {
    const envelope = signEnvelope(TYPE, Buffer.from('{"a":1}'), [alice]);
    fc.assert(
      fc.property(fc.nat(6), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bytes = Buffer.from(envelope.payload, "base64");
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        expect(() => verifyEnvelope({ ...envelope, payload: bytes.toString("base64") }, accept)).toThrow(TrustError);
      }),
    );
  });

  test("throws only TrustError for whatever JSON it is given", () => {
    const json = fc.oneof(
      fc.jsonValue(),
      fc.record({ payload: fc.string(), payloadType: fc.constantFrom(TYPE, "x"), signatures: fc.jsonValue() }),
      fc.record({
        payload: fc.base64String(),
        payloadType: fc.constant(TYPE),
        signatures: fc.array(
          fc.record({ sig: fc.oneof(fc.string(), fc.base64String({ minLength: 88, maxLength: 88 })) }),
        ),
      }),
    );
    fc.assert(
      fc.property(json, (value) => {
        expect(() => verifyEnvelope(value, accept)).toThrow(TrustError);
      }),
    );
  });

  test("looks at no more than eight signatures", () => {
    const envelope = signEnvelope(
      TYPE,
      Buffer.from("x"),
      Array.from({ length: 9 }, () => alice),
    );
    expect(() => parseEnvelope(envelope)).toThrow(expect.objectContaining({ code: "envelope" }));
  });
});

describe("preAuthEncode", () => {
  test.each(vectors)("gives the published bytes for $id", ({ id, envelope, pae }) => {
    const type = id === "payload-type-swapped" ? TYPE : envelope.payloadType;
    expect(preAuthEncode(type, Buffer.from(envelope.payload, "base64")).toString("hex")).toBe(pae);
  });

  test("is injective: other type or body, other bytes", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (type1, body1, type2, body2) => {
        fc.pre(type1 !== type2 || body1 !== body2);
        fc.pre([type1, type2, body1, body2].every((text) => text.isWellFormed()));
        const [one, two] = [preAuthEncode(type1, Buffer.from(body1)), preAuthEncode(type2, Buffer.from(body2))];
        expect(one.equals(two)).toBe(false);
      }),
    );
  });
});
