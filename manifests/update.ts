import * as z from "zod";
import { digestSchema } from "./digest.ts";
import { checkDocument } from "./document.ts";
import { failureSchema, updateHoldSchema } from "./node.ts";

/** What a channel has for an app, and what a node would do with it. */
export const updateDocumentSchema = z.object({
  schema: z.literal(1),
  app: z.string(),
  channel: z.string(),
  /**
   * `new`: a staging would bring it; `here`: it was brought, and an activation would switch to it; `runs`: it is current;
   * `none`: the channel releases nothing of the app; `refused`: this node would not take it, `why` says for what reason.
   */
  state: z.enum(["new", "here", "runs", "none", "refused"]),
  /** Absent where there is none, or where nothing of it is proven. */
  release: z.object({ image: digestSchema, version: z.string(), sequence: z.int() }).optional(),
  /** What runs. */
  current: z.object({ image: digestSchema, version: z.string() }).optional(),
  /** Bytes that bringing it would still fetch. */
  fetches: z.int().nonnegative().optional(),
  why: failureSchema.optional(),
  /** It would not be switched to now: somebody has the app stay at its version. */
  updatesHeld: updateHoldSchema.optional(),
});

export type UpdateDocument = z.infer<typeof updateDocumentSchema>;

export function parseUpdate(value: unknown): UpdateDocument {
  return checkDocument(value, updateDocumentSchema, "update");
}
