import { describe, expect, test } from "vitest";
import { toOpenApi } from "../../../../hostd/api/openapi.ts";
import { ROUTES } from "../../../../hostd/api/routes.ts";

interface Operation {
  operationId: string;
  summary: string;
  parameters: { name: string; in: string; required: boolean; schema: object }[];
  requestBody?: { required: boolean; content: Record<string, { schema: object }> };
  responses: Record<string, { description: string; content: Record<string, { schema: object }> }>;
}

const document = JSON.parse(JSON.stringify(toOpenApi(ROUTES, "1"))) as {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
};
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => [`${method} ${path}`, path, method, operation] as const),
);

/** Keywords of JSON Schema 2020-12 that the document uses; another one must be looked up before it is added here. */
const KEYWORDS = new Set(
  "type properties required additionalProperties items prefixItems anyOf oneOf allOf const enum default description format pattern minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength minItems maxItems propertyNames".split(
    " ",
  ),
);
const TYPES = new Set(["string", "number", "integer", "boolean", "object", "array", "null"]);

describe("the OpenAPI document", () => {
  test("is version 3.1 with a title, a version and paths that begin with a slash", () => {
    expect(document).toMatchObject({ openapi: "3.1.0", info: { title: "hostd", version: "1" } });
    expect(Object.keys(document.paths).every((path) => path.startsWith("/v1/"))).toBe(true);
  });

  test("gives each operation an id of its own", () => {
    const ids = operations.map(([, , , { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => /^[a-z][\w-]*$/.test(id))).toBe(true);
  });

  test("requires a body only where an empty one would be refused, and tells what an absent query means", () => {
    const at = (path: string, method: string) => document.paths[path]?.[method];
    expect(at("/v1/fsck", "post")?.requestBody?.required).toBe(false);
    expect(at("/v1/release", "post")?.requestBody?.required).toBe(true);
    const limit = at("/v1/changes", "get")?.parameters.find(({ name }) => name === "limit");
    expect(limit?.schema).toEqual({ type: "integer", minimum: 1, maximum: 1_000, default: 50 });
  });

  test.each(operations)(
    "%s has the parameters its path names, all required, a summary and its responses",
    (_title, path, method, operation) => {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      expect(operation.parameters.filter((one) => one.in === "path").map(({ name }) => name)).toEqual(named);
      expect(operation.parameters.every((one) => one.required === (one.in === "path"))).toBe(true);
      expect(operation.summary.length).toBeGreaterThan(10);
      expect(operation.requestBody !== undefined).toBe(method === "post");
      expect(Object.keys(operation.responses)).toEqual([expect.stringMatching(/^2\d\d$/), "default"]);
      const contents = [
        operation.requestBody?.content,
        ...Object.values(operation.responses).map(({ content }) => content),
      ];
      for (const content of contents) {
        for (const [media, { schema }] of Object.entries(content ?? {})) {
          expect(media).toMatch(/^(application\/json$|text\/plain)/);
          expect(problemsOf(schema)).toEqual([]);
        }
      }
      for (const { schema } of operation.parameters) expect(problemsOf(schema)).toEqual([]);
    },
  );
});

/** What is wrong with a JSON schema: keywords and types that do not exist, required names without a property. */
function problemsOf(schema: unknown, at = "schema"): string[] {
  if (typeof schema === "boolean") return [];
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return [`${at} is no schema`];
  const {
    properties = {},
    required = [],
    type,
  } = schema as { properties?: object; required?: string[]; type?: unknown };
  return [
    ...Object.keys(schema)
      .filter((name) => !KEYWORDS.has(name))
      .map((name) => `${at}: unknown keyword ${name}`),
    ...(type === undefined || TYPES.has(String(type)) ? [] : [`${at}: unknown type ${type}`]),
    ...required.filter((name) => !Object.hasOwn(properties, name)).map((name) => `${at}: requires unknown ${name}`),
    ...Object.entries(properties).flatMap(([name, child]) => problemsOf(child, `${at}.${name}`)),
    ...childrenOf(schema).flatMap(([name, child]) => problemsOf(child, `${at}.${name}`)),
  ];
}

function childrenOf(schema: object): [string, unknown][] {
  const { items, additionalProperties, propertyNames, ...rest } = schema as Record<string, unknown>;
  const single = Object.entries({ items, additionalProperties, propertyNames }).filter(
    ([, child]) => child !== undefined,
  );
  const lists = ["anyOf", "oneOf", "allOf", "prefixItems"].flatMap((name) =>
    ((rest[name] as unknown[] | undefined) ?? []).map((child, index): [string, unknown] => [`${name}${index}`, child]),
  );
  return [...single, ...lists];
}
