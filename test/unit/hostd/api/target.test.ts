import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ROUTES } from "../../../../hostd/api/routes.ts";
import { findRoute, parseTarget } from "../../../../hostd/api/target.ts";
import { HostdError } from "../../../../hostd/error.ts";

describe("parseTarget", () => {
  test("gives the words of the path as they were sent, and the query decoded", () => {
    expect(parseTarget("/v1/apps/shop%2f/logs?slot=1.0%2B1&generation=3")).toEqual({
      words: ["", "v1", "apps", "shop%2f", "logs"],
      query: { slot: "1.0+1", generation: "3" },
    });
  });

  test("normalises nothing: a path that climbs or doubles its slashes is what it is", () => {
    expect(parseTarget("/v1/apps/../status").words).toEqual(["", "v1", "apps", "..", "status"]);
    expect(parseTarget("//evil/v1/status").words).toEqual(["", "", "evil", "v1", "status"]);
  });

  test.each([
    [""],
    ["*"],
    ["v1/status"],
    ["http://evil/v1/status"],
    ["/v1/status#part"],
    ["/v1/st atus"],
    ["/v1/\u0000"],
    ["/v1/é"],
    ["/v1/status?a=1&a=2"],
    [`/${"a".repeat(9_000)}`],
  ])("refuses %j", (target) => {
    expect(() => parseTarget(target)).toThrow(HostdError);
  });
});

describe("any request", () => {
  const words = fc.oneof(
    fc.constantFrom("v1", "apps", "shop", "status", "..", ".", "", "%2e%2e", "%00", "%", "operations", "1", "stage"),
    fc.string({ maxLength: 30 }),
  );
  const targets = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc
      .tuple(fc.array(words, { maxLength: 6 }), fc.string({ maxLength: 40 }))
      .map(([path, query]) => `/${path.join("/")}?${query}`),
  );

  test("is a route with checked parameters, or a refusal of a known code and bounded length", () => {
    fc.assert(
      fc.property(fc.constantFrom("GET", "POST", "DELETE", "X"), targets, fc.jsonValue(), (method, target, body) => {
        try {
          const { words: path, query } = parseTarget(target);
          const { found, parameters } = findRoute(ROUTES, method, path);
          const checked = [
            found.parameters.safeParse(parameters),
            found.query.safeParse(query),
            found.body.safeParse(body),
          ];
          if (!checked.every(({ success }) => success)) return;
          for (const name of Object.values(parameters)) expect(name).toMatch(/^(?:[a-z0-9-]{1,63}|\d{1,9})$/);
        } catch (error) {
          expect(error).toBeInstanceOf(HostdError);
          expect(["bad-request", "unknown-route"]).toContain((error as HostdError).code);
          expect((error as HostdError).message.length).toBeLessThan(1_500);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("names what a path takes where only the method is wrong", () => {
    expect(() => findRoute(ROUTES, "POST", parseTarget("/v1/status").words)).toThrow(/expected GET for \/v1\/status/);
  });
});
