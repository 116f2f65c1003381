import { describe, expect, test } from "vitest";
import { kernelRelease } from "../../../../builder/boot/kernel.ts";

function kernel(version: string): Buffer {
  const image = Buffer.alloc(8192);
  image.write("HdrS", 0x202, "latin1");
  image.writeUInt16LE(0x1000 - 0x200, 0x20e);
  image.write(version, 0x1000, "latin1");
  return image;
}

describe("kernelRelease", () => {
  test("is the first word of what the kernel says of itself", () => {
    expect(kernelRelease(kernel("6.1.0-56-amd64 (debian-kernel@lists.debian.org) #1 SMP"), "/k")).toBe(
      "6.1.0-56-amd64",
    );
  });

  test.each([
    ["what is no kernel", Buffer.alloc(8192)],
    ["a kernel without a release", kernel("")],
    ["a few bytes", Buffer.from("HdrS")],
  ])("refuses %s", (_, image) => {
    expect(() => kernelRelease(image, "/boot/vmlinuz")).toThrow(/BOOT \/boot\/vmlinuz: expected a/);
  });
});
