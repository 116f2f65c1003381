import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BOOT_ANNOTATION, type Boot, bootBlobs, bootExample, bootOf } from "../../../manifests/boot.ts";
import { canonicalJson, DocumentError } from "../../../manifests/document.ts";
import type { ImageManifest } from "../../../manifests/image.ts";

function withAnnotation(text: string): ImageManifest {
  const config = { mediaType: "", digest: bootExample.kernelDigest, size: 1 };
  return { schemaVersion: 2, config, layers: [], annotations: { [BOOT_ANNOTATION]: text } };
}

const read = (change: Partial<Boot>) => bootOf(withAnnotation(canonicalJson({ ...bootExample, ...change })));

describe("bootOf", () => {
  it("reads the example unchanged, and nothing from an image that does not boot", () => {
    expect(read({})).toEqual(bootExample);
    expect(bootOf({ ...withAnnotation(""), annotations: {} })).toBeUndefined();
  });

  it("refuses parts that cannot be the UKI", () => {
    expect(() => read({ parts: bootExample.parts.slice(1) })).toThrow(
      "manifest annotation dev.ostler.boot: parts: expected parts that are as long as the UKI together",
    );
    const { uki, parts } = bootExample;
    expect(() => read({ recovery: { uki: { ...uki, size: 31 }, parts } })).toThrow("recovery.parts: expected parts");
  });

  it("refuses a file that no firmware could hold", () => {
    const huge = { ...bootExample.uki, size: 2 ** 40 };
    expect(() => read({ uki: huge, parts: [huge] })).toThrow(DocumentError);
  });

  it("answers any text with a document or a DocumentError", () => {
    const text = fc.oneof(fc.string(), fc.json());
    fc.assert(
      fc.property(text, (one) => {
        try {
          bootOf(withAnnotation(one));
        } catch (error) {
          expect(error).toBeInstanceOf(DocumentError);
        }
      }),
    );
  });
});

describe("bootBlobs", () => {
  it("names a part that UKI and recovery share once", () => {
    const [head, kernel] = bootExample.parts;
    const own = { digest: bootExample.initrdDigest, size: 5 };
    if (head === undefined || kernel === undefined) throw new Error("the example has two parts");
    const recovery = { uki: { ...bootExample.uki, size: 25 }, parts: [own, kernel] };
    expect(bootBlobs({ ...bootExample, recovery })).toEqual([head, kernel, own]);
    const loader = { digest: bootExample.kernelDigest, size: 7 };
    expect(bootBlobs({ ...bootExample, recovery, loader })).toEqual([head, kernel, own, loader]);
  });
});
