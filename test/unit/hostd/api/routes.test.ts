import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toOpenApi } from "../../../../hostd/api/openapi.ts";
import { ROUTES } from "../../../../hostd/api/routes.ts";

const find = (path: string) => {
  const found = ROUTES.find((route) => route.path === path);
  if (found === undefined) throw new Error(`no route ${path}`);
  return found;
};

describe("the route table", () => {
  test("has each method and path once", () => {
    const names = ROUTES.map(({ method, path }) => `${method} ${path}`);
    expect(new Set(names).size).toBe(names.length);
  });

  test.each(ROUTES.map((route) => [route.path, route] as const))(
    "%s takes only parameters that its path names",
    (path, route) => {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "");
      const values: Record<string, string> = { app: "shop", id: "7" };
      const parameters = Object.fromEntries(named.map((name) => [name, values[name] ?? ""]));
      expect(route.parameters.safeParse(parameters).success).toBe(true);
      expect(route.parameters.safeParse({ ...parameters, extra: "1" }).success).toBe(false);
    },
  );

  test.each([["../x"], [""], ["SHOP"], ["a/b"], ["-a"], ["a".repeat(64)], [".."], ["shop\0"]])(
    "refuses the app name %j",
    (app) => {
      expect(find("/v1/apps/{app}").parameters.safeParse({ app }).success).toBe(false);
    },
  );

  test.each([["0x1"], ["1e0"], ["+5"], [" 5"], ["5.0"], [""], ["9".repeat(17)]])(
    "takes whole numbers in decimal digits alone, not %j",
    (word) => {
      const operation = find("/v1/operations/{id}");
      expect(operation.parameters.safeParse({ id: word }).success).toBe(false);
      expect(operation.query.safeParse({ wait: word }).success).toBe(false);
      expect(operation.parameters.parse({ id: "12" })).toEqual({ id: 12 });
    },
  );

  test("refuses what it does not know in a body, and keeps what it knows", () => {
    const { body } = find("/v1/apps/{app}/rollback");
    expect(body.safeParse({ to: "3", withData: "before-g3" }).success).toBe(true);
    for (const bad of [
      { colour: 1 },
      { to: "../3" },
      { by: "" },
      { requestId: "a b" },
      { withConfig: "yes" },
      null,
      [],
    ]) {
      expect({ bad, accepted: body.safeParse(bad).success }).toEqual({ bad, accepted: false });
    }
  });

  test("answers any body with a value or a list of bad fields, never with an exception", () => {
    for (const route of ROUTES) {
      fc.assert(
        fc.property(fc.jsonValue(), (value) => void route.body.safeParse(value)),
        { numRuns: 20 },
      );
    }
  });

  test("is what the OpenAPI document says", () => {
    const document = toOpenApi(ROUTES, "1") as { openapi: string; paths: Record<string, Record<string, object>> };
    expect(document.openapi).toBe("3.1.0");
    expect(Object.keys(document.paths).sort()).toEqual([...new Set(ROUTES.map(({ path }) => path))].sort());
    expect(document.paths["/v1/apps/{app}/rollback"]?.["post"]).toMatchObject({
      parameters: [{ name: "app", in: "path", required: true }],
      responses: { 202: expect.anything(), default: expect.anything() },
    });
  });
});
