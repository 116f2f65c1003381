import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { describeWith } from "../../needs.ts";
import { serveDisk, type VolatileDisk } from "../../vm/volatile-disk.ts";

describeWith({ programs: ["qemu-io"] }, "a disk with a write cache", () => {
  let [work, file] = ["", ""];
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), "ostler-disk-"));
    file = join(work, "disk");
  });
  afterAll(() => rm(work, { recursive: true, force: true }));

  /** `chance` is the first number that a power cut draws, and says how many blocks it takes; the others are 0.5. */
  async function withDisk(chance: number, use: (disk: VolatileDisk) => Promise<void>): Promise<void> {
    await writeFile(file, "");
    await truncate(file, 1024 * 1024);
    const drawn = [chance];
    const disk = await serveDisk(file, join(work, "socket"), () => drawn.pop() ?? 0.5);
    try {
      await use(disk);
    } finally {
      disk.close();
    }
  }
  const qemu = async ({ address }: VolatileDisk, ...commands: string[]) =>
    await run(["qemu-io", "-f", "raw", "-t", "writeback", ...commands.flatMap((command) => ["-c", command]), address]);
  const at = async (offset: number) => (await readFile(file))[offset];

  test("gives back what was written, flushed or not", () =>
    withDisk(0, async (disk) => {
      await qemu(disk, "write -q -P 7 512 9000", "read -q -P 7 512 9000", "read -q -P 0 0 512");
      expect([await at(511), await at(512), await at(9511), await at(9512)]).toEqual([0, 7, 7, 0]);
    }));

  const written = ["write -q -P 7 0 8192", "flush", "write -q -P 8 4096 8192", "abort"];

  test("loses in a power cut what was not flushed, block by block", () =>
    withDisk(1, async (disk) => {
      await qemu(disk, ...written).catch(() => {}); // it kills itself
      expect(await disk.cutPower()).toEqual({ unflushed: 2, lost: 2 });
      expect([await at(4095), await at(4096), await at(8192)]).toEqual([7, 7, 0]);
    }));

  test("may keep it all the same, and knows it for flushed then", () =>
    withDisk(0, async (disk) => {
      await qemu(disk, ...written).catch(() => {});
      expect(await disk.cutPower()).toEqual({ unflushed: 2, lost: 0 });
      expect([await at(4095), await at(4096), await at(8192)]).toEqual([7, 8, 8]);
      expect(await disk.cutPower()).toEqual({ unflushed: 0, lost: 0 });
    }));
});
