import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findTestNames } from "../../../../builder/ci/test-names.ts";
import { markOf, testFactsOf } from "../../../../builder/ci/verdict.ts";
import { digestFromHex } from "../../../../manifests/digest.ts";

const TAP = `TAP version 13
# Subtest: orders are kept
ok 1 - orders are kept
  ---
  duration_ms: 3.1
  ...
    not ok 1 - an order without a name is refused
not ok 2 - orders are checked
ok 3 - later # SKIP no network
1..3
`;

const SPEC = `▶ orders
  ✔ are kept (2.5ms)
  ✖ are checked (12.1ms)
▶ orders (15ms)
ℹ tests 2
✖ failing tests:

✖ are checked (12.1ms)
`;

const digest = digestFromHex("d".repeat(64));
const suite = (change: object = {}) => ({ name: "unit", digest, passed: ["it runs"], failed: [], ...change });

describe("findTestNames", () => {
  test("reads TAP, with tests inside tests", () => {
    expect(findTestNames(TAP)).toEqual({
      passed: ["orders are kept", "later"],
      failed: ["an order without a name is refused", "orders are checked"],
    });
  });

  test("reads the spec reporter, and names a test once", () => {
    expect(findTestNames(SPEC)).toEqual({ passed: ["are kept"], failed: ["are checked"] });
  });

  test("is bounded in number and length for any output", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { passed, failed } = findTestNames(`ok 1 - ${text.repeat(50)}\n`.repeat(3));
        for (const name of [...passed, ...failed]) expect(name.length).toBeLessThanOrEqual(200);
      }),
    );
    const many = Array.from({ length: 5000 }, (_, n) => `ok ${n} - test ${n}`).join("\n");
    expect(findTestNames(many).passed).toHaveLength(1000);
  });
});

describe("markOf", () => {
  test("is green when every suite passed, red when one failed, none without suites", () => {
    expect(markOf([suite(), suite()])).toBe("green");
    expect(markOf([suite(), suite({ failed: ["x"] })])).toBe("red");
    expect(markOf([])).toBe("none");
  });
});

describe("testFactsOf", () => {
  test("names tests after their suite; a suite that names none stands for itself", () => {
    const facts = testFactsOf("shop", [
      suite({ failed: ["orders are kept"] }),
      suite({ name: "smoke", passed: ["smoke"] }),
    ]);
    expect(facts).toEqual({
      name: "shop",
      suites: [
        { name: "unit", digest },
        { name: "smoke", digest },
      ],
      passed: ["unit: it runs", "smoke"],
      failed: ["unit: orders are kept"],
    });
  });
});
