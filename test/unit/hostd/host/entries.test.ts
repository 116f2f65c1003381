import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { collectEntries, type EspSituation, espNeeds, repairEsp, trialName } from "../../../../hostd/host/entries.ts";
import { entryName, findEntries, loaderConf } from "../../../../images/boot/entries.ts";

const root = (digit: string) => digit.repeat(64);
const name = (number: number, digit: string, left?: number, done = 0) =>
  entryName({ number, root: root(digit), ...(left === undefined ? {} : { tries: { left, done } }) });
const version = (digit: string, proven = true, size = 20) => ({ root: root(digit), size, proven });

const situation = (change: Partial<EspSituation>): EspSituation => ({
  names: [name(1, "a"), "recovery.efi"],
  conf: loaderConf({ number: 1 }),
  versions: [version("a")],
  booted: root("a"),
  good: root("a"),
  trial: undefined,
  ...change,
});

const NOTHING = { rename: [], setDefault: undefined, remove: [], lost: false };

describe("repairEsp", () => {
  test("an ESP that is as it should be is left alone", () => {
    expect(repairEsp(situation({}))).toEqual(NOTHING);
  });

  test("a lost or damaged loader.conf names the last good version again", () => {
    expect(repairEsp(situation({ conf: "" })).setDefault).toBe(1);
    expect(repairEsp(situation({ conf: loaderConf({ number: 7 }) })).setDefault).toBe(1);
  });

  test("the last good version is never on tries, however its entry came to have them", () => {
    const names = [name(1, "a", 0, 3)];
    expect(repairEsp(situation({ names })).rename).toEqual([{ from: name(1, "a", 0, 3), to: name(1, "a") }]);
  });

  test("entries of a version that is gone, or never was proven, go", () => {
    const names = [name(1, "a"), name(2, "b", 0, 3), name(3, "c", 3)];
    const versions = [version("a"), version("c", false)];
    expect(repairEsp(situation({ names, versions })).remove).toEqual([name(3, "c", 3), name(2, "b", 0, 3)]);
  });

  test("a proven version that a trial left with tries has none again", () => {
    const names = [name(1, "a"), name(2, "b", 2, 1)];
    const repair = repairEsp(situation({ names, versions: [version("a"), version("b")] }));
    expect(repair).toEqual({ ...NOTHING, rename: [{ from: name(2, "b", 2, 1), to: name(2, "b") }] });
  });

  test("the entry of an upgrade under way is that upgrade's, blessed half way or not", () => {
    const names = [name(1, "a"), name(2, "b", 2, 1)];
    expect(repairEsp(situation({ names, trial: root("b") }))).toEqual(NOTHING);
    const blessing = situation({
      names: [name(1, "a"), name(2, "b")],
      conf: loaderConf({ number: 2 }),
      trial: root("b"),
    });
    expect(repairEsp(blessing)).toEqual(NOTHING);
  });

  test("of two entries of one root, as a cut rename may leave them, the proven one stays", () => {
    const names = [name(1, "a"), name(1, "a", 2, 1)];
    expect(repairEsp(situation({ names }))).toEqual({ ...NOTHING, remove: [name(1, "a", 2, 1)] });
  });

  test("a last good version without an entry is lost, and nothing else is made the default", () => {
    const repair = repairEsp(situation({ names: [name(2, "b")], good: root("a"), booted: root("b") }));
    expect(repair).toEqual({ ...NOTHING, lost: true });
  });

  test("whatever lies there, booted, last good, trial and recovery stay, and a second look changes nothing", () => {
    const digits = ["a", "b", "c", "d"];
    const tries = fc.option(fc.record({ left: fc.nat(3), done: fc.nat(3) }), { nil: undefined });
    const entries = fc.uniqueArray(
      fc.record({ number: fc.integer({ min: 1, max: 9 }), digit: fc.constantFrom(...digits), tries }),
      {
        selector: ({ number, digit }) => `${number} ${digit}`,
      },
    );
    const one = fc.constantFrom(...digits).map(root);
    const versions = fc
      .subarray(digits)
      .chain((kept) => fc.tuple(...kept.map((digit) => fc.boolean().map((proven) => version(digit, proven)))));
    fc.assert(
      fc.property(
        entries,
        versions,
        one,
        one,
        fc.option(one, { nil: undefined }),
        (found, known, booted, good, trial) => {
          const names = [
            "recovery.efi",
            ...found.map(({ number, digit, tries: left }) =>
              entryName({ number, root: root(digit), ...(left === undefined ? {} : { tries: left }) }),
            ),
          ];
          const before = situation({ names, versions: known, booted, good, trial });
          const after = apply(before);
          for (const kept of [booted, good, trial]) {
            const has = (list: readonly string[]) =>
              findEntries(list).some((entry) => entry.root === kept?.slice(0, 12));
            expect(has(after.names)).toBe(has(names));
          }
          expect(after.names).toContain("recovery.efi");
          expect({ ...repairEsp(after), lost: false }).toEqual(NOTHING);
        },
      ),
    );
  });
});

function apply(before: EspSituation): EspSituation {
  const { remove, rename, setDefault } = repairEsp(before);
  const names = before.names
    .filter((entry) => !remove.includes(entry))
    .map((entry) => rename.find(({ from }) => from === entry)?.to ?? entry);
  return { ...before, names, conf: setDefault === undefined ? before.conf : loaderConf({ number: setDefault }) };
}

describe("collectEntries", () => {
  test("takes entries that retention gave up, never what is booted, last good, on trial, or recovery", () => {
    const names = [name(1, "a"), name(2, "b"), name(3, "c"), name(4, "d", 3), name(5, "e"), "recovery.efi"];
    const given = { names, versions: [version("e")], booted: root("b"), good: root("c"), trial: root("d") };
    expect(collectEntries(given)).toEqual([name(1, "a")]);
  });
});

test("espNeeds: room for every version that is kept and not there yet", () => {
  const versions = [version("a"), version("b", false, 30), version("c", false, 40)];
  expect(espNeeds([name(1, "a"), name(2, "b", 3)], versions)).toBe(40);
  expect(espNeeds([], versions)).toBe(90);
});

test("trialName: a trial begins with all its tries, whatever an earlier one left", () => {
  expect(trialName({ number: 4, root: root("d") })).toBe(`ostler-0004-${"d".repeat(12)}+3.efi`);
});
