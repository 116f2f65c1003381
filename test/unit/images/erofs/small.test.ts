import { describe, expect, it } from "vitest";
import { createSmallFiles } from "../../../../images/erofs/small.ts";

const contents = Array.from({ length: 3000 }, (_, n) => Buffer.alloc((n * 7) % 2049, n % 251));

describe("createSmallFiles", () => {
  it.each(["in memory", "in a scratch"])("gives back what it was given, in any order, %s", (where) => {
    const disk = Buffer.alloc(8 * 1024 * 1024);
    let onDisk = 0;
    const small = createSmallFiles(
      where === "in memory"
        ? undefined
        : {
            write: (bytes, position) => {
              onDisk += bytes.copy(disk, position);
            },
            read: (target, position) => void disk.copy(target, 0, position),
          },
    );
    const places = contents.map((bytes) => {
      const place = small.begin(bytes.length);
      small.append(bytes.subarray(0, 100));
      if (bytes.length > 100) small.append(bytes.subarray(100));
      return place;
    });
    const wrong = contents.filter((bytes, n) => !small.read(places[n] ?? -1, bytes.length).equals(bytes));
    expect(wrong).toEqual([]);
    expect(small.read(places[1] ?? -1, 7).equals(contents[1] ?? Buffer.alloc(0))).toBe(true);
    expect(onDisk > 0).toBe(where === "in a scratch");
  });
});
