import * as z from "zod";
import { failureSchema } from "../../manifests/node.ts";
import type { Route } from "./route.ts";

/** The OpenAPI 3.1 document of a route table: what stands in the table is what it says. */
export function toOpenApi(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const entry of routes) {
    paths[entry.path] = { ...paths[entry.path], [entry.method.toLowerCase()]: toOperation(entry) };
  }
  const failed = { description: "why not", content: json(z.object({ error: failureSchema }), "output") };
  return { openapi: "3.1.0", info: { title: "hostd", version }, paths, components: { responses: { failed } } };
}

function toOperation(entry: Route): object {
  return {
    operationId: operationIdOf(entry),
    summary: entry.summary,
    parameters: [...toParameters(entry.parameters, "path"), ...toParameters(entry.query, "query")],
    ...(entry.method === "POST" ? { requestBody: toRequestBody(entry.body) } : {}),
    responses: {
      [entry.status]: { description: "what it answers", content: json(entry.answer, "output", entry.media) },
      default: { $ref: "#/components/responses/failed" },
    },
  };
}

/** A body that is left out is an empty object. */
function toRequestBody(schema: z.ZodType): object {
  return { required: !schema.safeParse({}).success, content: json(schema, "input") };
}

function toParameters(schema: z.ZodType, where: "path" | "query"): object[] {
  const { properties = {} } = toJsonSchema(schema, "input") as { properties?: Record<string, object> };
  const defaults = (schema.safeParse({}).data ?? {}) as Record<string, unknown>; // zod tells none of what it transforms
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: where,
    required: where === "path",
    schema: name in defaults ? { ...property, default: defaults[name] } : property,
  }));
}

/** `GET /v1/apps/{app}/logs` is `get-apps-app-logs`. */
function operationIdOf({ method, path }: Route): string {
  return [method.toLowerCase(), ...(path.match(/\w+/g) ?? []).slice(1)].join("-");
}

function json(schema: z.ZodType, io: "input" | "output", media = "application/json"): object {
  return { [media]: { schema: toJsonSchema(schema, io) } };
}

function toJsonSchema(schema: z.ZodType, io: "input" | "output"): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}
