import { describe, expect, it } from "vitest";
import { crc32c } from "../../../../images/erofs/crc32c.ts";

/** EROFS leaves out the final inversion that published vectors have. */
const inverted = (value: number) => ~value >>> 0;

describe("crc32c", () => {
  it.each([
    { what: "the digits 1 to 9", bytes: Buffer.from("123456789"), expected: 0xe3069283 },
    { what: "32 zeros (RFC 3720 B.4)", bytes: Buffer.alloc(32), expected: 0x8a9136aa },
    { what: "32 ones (RFC 3720 B.4)", bytes: Buffer.alloc(32, 0xff), expected: 0x62a8ab43 },
    {
      what: "0 to 31 (RFC 3720 B.4)",
      bytes: Buffer.from(Array.from({ length: 32 }, (_, n) => n)),
      expected: 0x46dd794e,
    },
  ])("gives the published checksum of $what, without the final inversion", ({ bytes, expected }) => {
    expect(inverted(crc32c(bytes))).toBe(expected);
  });

  it("of nothing is the seed", () => {
    expect(crc32c(Buffer.alloc(0))).toBe(0xffffffff);
  });
});
