import * as z from "zod";
import { appSchema } from "../../manifests/app.ts";

// Parts of requests that several routes share.

/** Text that is shown to people: nothing in it may move their cursor or colour their terminal. */
export function printable(most: number) {
  return z
    .string()
    .min(1)
    .max(most)
    .regex(/^[^\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]+$/u, "expected printable text on one line");
}

export const nothing = z.strictObject({});
export const empty = { parameters: nothing, query: nothing, body: nothing };
export const ofApp = { parameters: z.strictObject({ app: appSchema.shape.name }), query: nothing };
export const idParameter = z.strictObject({ id: z.coerce.number().int().positive() });
export const image = z
  .string()
  .regex(/^(?:sha256:)?[0-9a-f]{6,64}$/, "expected a digest, or at least 6 hex digits of one");

/** Who asks, and the id under which a repeat begins nothing and gets the first answer. */
export const asked = {
  by: printable(128).default("api"),
  requestId: z
    .string()
    .regex(/^[\w.:-]{1,128}$/)
    .optional(),
};
