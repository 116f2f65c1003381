import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FleetError } from "../../../../fleet/error.ts";
import { type Found, packagesOf, parseFound, refuseMachine } from "../../../../fleet/install/machine.ts";

const ID = "0123456789abcdef";
const SUM = "a".repeat(64);

const BARE = "user 0\nmachine x86_64\ninit systemd\nmissing bwrap\nhas apt-get\nstate inactive\n";
const INSTALLED = `user 0
machine x86_64
init systemd
has apt-get
hostd ostler/hostd/${ID}
unit /usr/lib/ostler/hostd/${ID}/hostd.service
state active
settled yes
sum ${SUM}  node
version ${ID}
version fedcba9876543210
`;

const refusalOf = (text: string) => {
  try {
    refuseMachine(parseFound(text), "node-1", "x64");
    return undefined;
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    return error.message;
  }
};

describe("what a machine says of itself", () => {
  test("a bare one has no hostd and lacks a program", () => {
    const found = parseFound(BARE);
    expect(found).toMatchObject({
      current: undefined,
      other: undefined,
      isRunning: false,
      missing: ["bwrap"],
      hasApt: true,
    });
    expect(packagesOf(found.missing)).toEqual(["bubblewrap"]);
    expect(refusalOf(BARE)).toBeUndefined();
  });

  test("an installed one names the version that is in place, its files and the others", () => {
    const found = parseFound(INSTALLED);
    expect(found).toMatchObject({
      current: ID,
      other: undefined,
      isRunning: true,
      settled: "there",
      isUnproven: false,
    });
    expect([...found.sums]).toEqual([[SUM, "node"]]);
    expect([...found.versions]).toEqual([ID, "fedcba9876543210"]);
  });

  test("options that an installation wrote are told from somebody's own, and one that is under way is waited for", () => {
    const found = parseFound(`${INSTALLED}settled here\noptions --channel staging\n`.replace("settled yes\n", ""));
    expect(found).toMatchObject({ settled: "here", options: "--channel staging" });
    expect(parseFound(BARE)).toMatchObject({ settled: undefined, options: "", isBusy: false });
    expect(() => refuseMachine(parseFound(`${BARE}busy yes\n`), "node-1", "x64")).toThrow("another installation");
  });

  test("paths and names that climb are nobody's version, and a hostd under them is somebody else's", () => {
    const found = parseFound(
      `hostd ../../tmp/${ID}\nversion ..\nversion ${ID}/..\nsum ${SUM}  ../node\nsum zz  node\nmissing rm\n`,
    );
    expect(found).toMatchObject({ current: undefined, other: "/usr/lib/hostd", missing: [] });
    expect([found.sums.size, found.versions.size]).toEqual([0, 0]);
  });

  test("whatever it prints, reading it ends, and nothing but versions and programs that are known comes out", () => {
    const words = fc.constantFrom(
      "hostd",
      "unit",
      "sum",
      "version",
      "missing",
      "user",
      "no",
      "has",
      "\n",
      " ",
      ID,
      SUM,
      "/",
      "\0",
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(words).map((parts) => parts.join(" ")),
    );
    fc.assert(
      fc.property(text, (said) => {
        const found: Found = parseFound(said);
        for (const version of [...found.versions, found.current ?? ID]) expect(version).toMatch(/^[0-9a-f]{16}$/);
        expect(packagesOf(found.missing).every((name) => /^[a-z0-9-]+$/.test(name))).toBe(true);
      }),
    );
  });
});

describe("a machine is refused", () => {
  test.each([
    ["that says nothing", "", /as root/],
    ["where one does not come in as root", BARE.replace("user 0", "user 1000"), /came in as user 1000/],
    ["that runs a host image", `${BARE}host image\n`, /host image/],
    ["without systemd", BARE.replace("init systemd", "init tini"), /expected systemd as its process 1, found tini/],
    [
      "of another kind",
      BARE.replace("x86_64", "riscv64"),
      /expected a machine of x86_64, as this one is, found riscv64/,
    ],
    ["with a hostd of somebody's own", `${BARE}hostd its-own\n`, /\/usr\/lib\/hostd was put there/],
    [
      "with a unit of somebody's own",
      `${BARE}unit /etc/systemd/system/hostd.service\n`,
      /hostd\.service was put there/,
    ],
    ["whose /usr is read-only", `${BARE}read-only /usr/lib\n`, /cannot be written/],
    ["whose kernel has no EROFS", `${BARE}no erofs\n`, /no EROFS/],
    ["that lacks a program and has no apt", BARE.replace("has apt-get\n", ""), /it lacks bwrap/],
  ])("%s", (_, text, message) => {
    expect(refusalOf(text)).toMatch(message);
    expect(refusalOf(text)).toContain("nothing was changed there");
  });
});
