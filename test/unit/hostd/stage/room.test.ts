import { describe, expect, test } from "vitest";
import { refuseWithoutRoom, roomFor } from "../../../../hostd/stage/room.ts";
import { type Descriptor, LAYER_ANNOTATIONS, MEDIA_TYPES } from "../../../../manifests/image.ts";

function layer(blob: number, erofs: number): Descriptor {
  return {
    mediaType: MEDIA_TYPES.layerZstd,
    digest: `sha256:${"a".repeat(64)}`,
    size: blob,
    annotations: {
      [LAYER_ANNOTATIONS.verityRoot]: "b".repeat(64),
      [LAYER_ANNOTATIONS.erofsSize]: String(erofs),
      [LAYER_ANNOTATIONS.erofsFormat]: "1",
    },
  };
}

describe("room for staging", () => {
  test("counts the image laid down and its hash tree", () => {
    const size = 126 * 4096 * 100;
    expect(roomFor([layer(1_000, size)])).toBe(size + size / 126 + 8192);
    expect(roomFor([])).toBe(0);
  });

  test("is refused when the reserve would be touched, saying what is needed and what is there", () => {
    const given = { needed: 700, reserve: 300, directory: "/var/lib/hostd" };
    expect(() => refuseWithoutRoom({ ...given, free: 1_000 })).not.toThrow();
    expect(() => refuseWithoutRoom({ ...given, free: 999 })).toThrow(
      expect.objectContaining({
        code: "no-space",
        outcome: "refused",
        message: "/var/lib/hostd: expected 1000 bytes free (700 to stage, 300 in reserve), got 999",
      }),
    );
  });
});
