import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toMetricsText } from "../../../../hostd/metrics/text.ts";

/** A line of Prometheus' text format: a comment, or a name, labels and a value. */
const LINE =
  /^(?:# (?:HELP [a-z_]+ .+|TYPE [a-z_]+ (?:gauge|counter))|[a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? -?[\d.e+-]+)$/;

describe("toMetricsText", () => {
  test("writes help, type and one line a sample; a metric without samples is left out", () => {
    const text = toMetricsText([
      {
        name: "hostd_a",
        help: "All of it",
        type: "gauge",
        samples: [{ value: 1 }, { labels: { app: "shop" }, value: 0.5 }],
      },
      { name: "hostd_b", help: "None", type: "counter", samples: [] },
    ]);
    expect(text).toBe('# HELP hostd_a All of it\n# TYPE hostd_a gauge\nhostd_a 1\nhostd_a{app="shop"} 0.5\n');
  });

  test("keeps any label on its line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (check) => {
        const sample = { labels: { check }, value: 1 };
        const text = toMetricsText([{ name: "hostd_check_good", help: "Good", type: "gauge", samples: [sample] }]);
        const lines = text.trimEnd().split("\n");
        expect(lines).toHaveLength(3);
        for (const line of lines) expect(line).toMatch(LINE);
      }),
    );
  });
});
