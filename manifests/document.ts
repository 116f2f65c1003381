import type * as z from "zod";
import { Failure } from "./failure.ts";

/** Size limits of documents from outside, in bytes; each is checked before a byte is parsed. */
export const DOCUMENT_LIMITS = {
  ociManifest: 4 * 1024 * 1024,
  ociConfig: 4 * 1024 * 1024,
  release: 256 * 1024,
  policy: 256 * 1024,
  statement: 4 * 1024 * 1024,
  lock: 1024 * 1024,
  apiRequest: 256 * 1024,
} as const;

export type DocumentErrorCode = "too-large" | "not-json" | "wrong-shape";

/** A document from outside that cannot be accepted; the message lists every bad field at once. */
export class DocumentError extends Failure {
  declare readonly code: DocumentErrorCode;
  constructor(code: DocumentErrorCode, message: string, cause?: unknown) {
    super("failed", code, message, { cause });
  }
}

/** The only bridge from bytes to a checked document: limit, UTF-8, JSON, then the schema. `what` names it in errors. */
export function parseDocument<T>(bytes: Uint8Array, schema: z.ZodType<T>, what: string, limit: number): T {
  if (bytes.length > limit) {
    throw new DocumentError("too-large", `${what}: expected at most ${limit} bytes, got ${bytes.length}`);
  }
  return checkDocument(parseJson(bytes, what), schema, what);
}

/** Checks a value that is already JSON against a schema; reports every bad field at once. */
export function checkDocument<T>(value: unknown, schema: z.ZodType<T>, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.map((issue) => `${issue.path.join(".") || "document"}: ${issue.message}`);
  throw new DocumentError("wrong-shape", `${what}: ${fields.join("; ")}`);
}

/** One byte form for one value: sorted keys, no spaces. Documents that are hashed or signed are written this way. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}

function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new DocumentError("not-json", `${what}: expected UTF-8 JSON, got ${(cause as Error).message}`, cause);
  }
}
