import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRootList, rootDigestOf, rootListOf } from "../../../../images/boot/roots.ts";
import { type Descriptor, type ImageManifest, LAYER_ANNOTATIONS } from "../../../../manifests/image.ts";

const A = "a".repeat(64);
const B = "b".repeat(64);

function layer(root: string, size: number): Descriptor {
  const { verityRoot, erofsSize, erofsFormat } = LAYER_ANNOTATIONS;
  const annotations = { [verityRoot]: root, [erofsSize]: String(size), [erofsFormat]: "1" };
  return { mediaType: "", digest: `sha256:${root}`, size: 1, annotations };
}

function manifestOf(...layers: Descriptor[]): ImageManifest {
  return { schemaVersion: 2, config: layer(A, 4096), layers };
}

describe("rootListOf", () => {
  const list = rootListOf(manifestOf(layer(A, 8192), layer(B, 4096)));

  it("names each layer, base first, and is what the digest is taken of", () => {
    expect(list).toBe(`ostler-roots 1\n${A} 8192\n${B} 4096\n`);
    // as sha256sum says it of these three lines
    expect(rootDigestOf(list)).toBe("98d366c67cc4495c0a6fbe0b37ca70e489ec6b0a7cee5e0eed4ed2242913fddb");
  });

  it("is read back by parseRootList", () => {
    expect(parseRootList(list)).toEqual([
      { root: A, size: 8192 },
      { root: B, size: 4096 },
    ]);
  });
});

describe("parseRootList", () => {
  it.each([
    ["an unknown version", `ostler-roots 2\n${A} 4096\n`],
    ["no layer", "ostler-roots 1\n"],
    ["a cut last line", `ostler-roots 1\n${A} 4096`],
    ["a size that is no block", `ostler-roots 1\n${A} 4097\n`],
    ["a line of another kind", `ostler-roots 1\n${A} 4096\nx\n`],
    ["upper case", `ostler-roots 1\n${A.toUpperCase()} 4096\n`],
  ])("refuses %s", (_what, text) => {
    expect(parseRootList(text)).toBeUndefined();
  });

  it("never throws, whatever the text", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseRootList(`ostler-roots 1\n${text}`)));
  });
});
