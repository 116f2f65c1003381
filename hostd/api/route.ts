import type * as z from "zod";
import type { Engine } from "../engine.ts";

export interface Call<Parameters, Query, Body> {
  engine: Engine;
  parameters: Parameters;
  query: Query;
  body: Body;
}

/** One route as data: the server, the client's checks and the OpenAPI document are all made from it. */
export interface Route<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> {
  method: "GET" | "POST";
  /** `/v1/apps/{app}/stage`; each `{name}` is a key of `parameters`. */
  path: string;
  summary: string;
  parameters: P;
  query: Q;
  body: B;
  answer: z.ZodType;
  /** Media type of the answer, which then is text; JSON where it is absent. */
  media?: string;
  /** Status of a good answer: 202 where the work goes on. */
  status: 200 | 202;
  /** A Buffer is JSON that was made before, and is sent as it is. */
  run(call: Call<z.infer<P>, z.infer<Q>, z.infer<B>>): Promise<unknown> | unknown;
}

/** Checks the three schemas against `run` where the route is written, then forgets them: a table holds any route. */
export function route<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(given: Route<P, Q, B>): Route {
  return given as unknown as Route;
}
