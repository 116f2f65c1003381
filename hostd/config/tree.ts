import * as z from "zod";

/** What a value is: a scalar, or a list that is taken whole. */
export type Leaf = string | number | boolean | Json[];
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** A layer as it was read: each value with the line it stands in; null takes away what lower layers say. */
export type Tree = { line: number; leaf: Leaf | null } | { line: number; members: Record<string, Tree> };

/** Names that a template can say, and the same in words. `__proto__` is none: objects treat it apart. */
export const NAME = /^(?!__proto__$)[A-Za-z_][\w-]*$/;
export const NAME_RULE = "begins with a letter or _, has letters, digits, _ and - alone, and is not __proto__";

export const treeSchema: z.ZodType<Tree> = z.lazy(() =>
  z.union([
    z.strictObject({ line: z.int(), leaf: z.json().transform((value) => value as Leaf | null) }),
    z.strictObject({ line: z.int(), members: z.record(z.string(), treeSchema) }),
  ]),
) as z.ZodType<Tree>;
