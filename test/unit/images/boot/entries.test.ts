import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type BootEntry,
  defaultOf,
  ESP,
  entryName,
  entryStem,
  findEntries,
  findEntry,
  isExhausted,
  loaderConf,
  nextNumber,
  parseEntryName,
  RECOVERY_ENTRY,
  RECOVERY_SORT_KEY,
  STARTUP_NSH,
  TRIES,
} from "../../../../images/boot/entries.ts";

const ROOT = "0123456789ab".repeat(5).padEnd(64, "c");

describe("entryName", () => {
  it.each<[BootEntry, string]>([
    [{ number: 1, root: ROOT }, "ostler-0001-0123456789ab.efi"],
    [{ number: 2, root: ROOT, tries: { left: 3, done: 0 } }, "ostler-0002-0123456789ab+3.efi"],
    [{ number: 2, root: ROOT, tries: { left: 2, done: 1 } }, "ostler-0002-0123456789ab+2-1.efi"],
    [{ number: 12345, root: ROOT, tries: { left: 0, done: 3 } }, "ostler-12345-0123456789ab+0-3.efi"],
  ])("%j is %s", (entry, name) => {
    expect(entryName(entry)).toBe(name);
    expect(name.startsWith(entryStem(entry))).toBe(true);
  });
});

describe("parseEntryName", () => {
  it("reads back every name that entryName gives, in the loader's lower case as well", () => {
    const tries = fc.record({ left: fc.nat(999), done: fc.nat(999) });
    const entry = fc.record(
      { number: fc.integer({ min: 1, max: 999_999_999 }), root: fc.stringMatching(/^[0-9a-f]{12}$/), tries },
      { requiredKeys: ["number", "root"] },
    );
    fc.assert(
      fc.property(entry, (one) => {
        expect(parseEntryName(entryName(one))).toEqual(one);
        expect(parseEntryName(entryName(one).toUpperCase())).toEqual(one);
      }),
    );
  });

  it.each([
    "recovery.efi",
    "ostler-1-0123456789ab.efi",
    "ostler-0001-0123456789a.efi",
    "ostler-0001-0123456789ab.conf",
    ".ostler-0001-0123456789ab.efi",
    "ostler-0001-0123456789ab+.efi",
    "ostler-0001-0123456789ab+3-.efi",
    "ostler-0001-0123456789ab.efi.tmp",
    "",
  ])("%j is no entry", (name) => {
    expect(parseEntryName(name)).toBeUndefined();
  });

  it("never throws, whatever the name", () => {
    fc.assert(fc.property(fc.string(), (name) => void parseEntryName(name)));
  });
});

describe("findEntries", () => {
  const names = [
    "recovery.efi",
    "ostler-0009-aaaaaaaaaaaa.efi",
    "ostler-0010-bbbbbbbbbbbb+0-3.efi",
    ".new.tmp",
    "ostler-0009-aaaaaaaaaaaa+1-2.efi",
  ];

  it("gives the newest first, and of one number the proven one", () => {
    expect(findEntries(names).map(({ name }) => name)).toEqual([names[2], names[1], names[4]]);
  });

  it("finds the entry of a root by its first digits", () => {
    expect(findEntry(names, "a".repeat(64))?.name).toBe(names[1]);
    expect(findEntry(names, "c".repeat(64))).toBeUndefined();
  });

  it("never gives a number out again that is remembered", () => {
    expect(nextNumber(names)).toBe(11);
    expect(nextNumber(names, 41)).toBe(42);
    expect(nextNumber([])).toBe(1);
  });

  it("tells an entry whose tries are used up", () => {
    expect(findEntries(names).map(isExhausted)).toEqual([true, false, false]);
  });
});

describe("loaderConf", () => {
  it("boots the proven entry at once and lets nobody edit its command line", () => {
    expect(loaderConf({ number: 7 })).toBe("timeout 0\ndefault ostler-0007-*\neditor no\n");
  });

  it("names no default where nothing is proven, so that recovery is the first that is left", () => {
    expect(loaderConf(undefined)).toBe("timeout 0\neditor no\n");
  });

  it("is read back by defaultOf; the last line counts, and other loaders' patterns do not", () => {
    expect(defaultOf(loaderConf({ number: 12345 }))).toBe(12345);
    expect(defaultOf(loaderConf(undefined))).toBeUndefined();
    expect(defaultOf("default debian-*\ndefault ostler-0003-*\r\n")).toBe(3);
  });
});

describe("the recovery entry", () => {
  it("is no version, sorts behind every distribution, and is never a default's match", () => {
    expect(parseEntryName(RECOVERY_ENTRY)).toBeUndefined();
    expect(["debian", "ubuntu", "void", RECOVERY_SORT_KEY].sort().at(-1)).toBe(RECOVERY_SORT_KEY);
    expect(loaderConf({ number: 1 })).not.toMatch(/recovery/);
  });
});

describe("the ESP", () => {
  it("has the names that firmware and loader look for", () => {
    expect(ESP).toEqual({
      entries: "EFI/Linux",
      loader: "EFI/BOOT/BOOTX64.EFI",
      loaderConf: "loader/loader.conf",
      startup: "startup.nsh",
    });
    expect(STARTUP_NSH).toBe("reset -c\r\n");
  });

  it("gives a trial three starts", () => {
    expect(TRIES).toBe(3);
  });
});
