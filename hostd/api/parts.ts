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

/** A whole number, in decimal digits where it is a word: of a path, of a query, of a command line. */
export function integer(least: number, most = Number.MAX_SAFE_INTEGER) {
  const toNumber = (value: unknown) => (typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value);
  return z.preprocess(toNumber, z.int("expected a whole number").min(least).max(most));
}

export const nothing = z.strictObject({});
export const empty = { parameters: nothing, query: nothing, body: nothing };
export const ofApp = { parameters: z.strictObject({ app: appSchema.shape.name }), query: nothing };
export const idParameter = z.strictObject({ id: integer(1) });
export const image = z
  .string()
  .regex(/^(?:sha256:)?[0-9a-f]{6,64}$/, "expected a digest, or at least 6 hex digits of one");

export const channel = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "expected lower-case letters, digits and -");

/** Who asks, and the id under which a repeat begins nothing and gets the first answer. */
export const asked = {
  by: printable(128).default("api"),
  requestId: z
    .string()
    .regex(/^[\w.:-]{1,128}$/)
    .optional(),
};
