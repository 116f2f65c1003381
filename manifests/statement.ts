import * as z from "zod";
import { checkDocument, DOCUMENT_LIMITS, parseDocument } from "./document.ts";

export const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
export const STATEMENT_PAYLOAD_TYPE = "application/vnd.in-toto+json";
export const PREDICATES = {
  provenance: "https://slsa.dev/provenance/v1",
  testResult: "https://in-toto.io/attestation/test-result/v0.1",
} as const;

const digestSet = z.record(z.string(), z.string());
const resource = z.object({ name: z.string().optional(), uri: z.string().optional(), digest: digestSet.optional() });

/** in-toto attestation framework v1: who said what about which digest; `predicate` is checked by its own schema. */
const statementSchema = z.object({
  _type: z.literal(STATEMENT_TYPE),
  subject: z.array(z.object({ name: z.string().optional(), digest: digestSet })).min(1),
  predicateType: z.string(),
  predicate: z.record(z.string(), z.unknown()),
});

/** SLSA provenance v1 as the builder writes it: inputs by digest, source commit, clean or not. */
const provenanceSchema = z.object({
  buildDefinition: z.object({
    buildType: z.literal("https://ostler.dev/recipe/v1"),
    externalParameters: z.object({
      recipe: z.object({ name: z.string(), digest: digestSet }),
      source: z.object({ commit: z.string().optional(), clean: z.boolean() }),
    }),
    internalParameters: z.object({ formatVersion: z.int(), epoch: z.int(), network: z.array(z.string()) }),
    resolvedDependencies: z.array(resource),
  }),
  runDetails: z.object({
    builder: z.object({ id: z.string(), version: z.record(z.string(), z.string()) }),
    metadata: z.object({ startedOn: z.string(), finishedOn: z.string() }).partial().optional(),
  }),
});

/** in-toto test-result v0.1: PASSED is green, FAILED is red; `configuration` holds one resource per suite, by digest. */
const testResultSchema = z.object({
  result: z.enum(["PASSED", "WARNED", "FAILED"]),
  configuration: z.array(resource),
  passedTests: z.array(z.string()),
  warnedTests: z.array(z.string()).default([]),
  failedTests: z.array(z.string()),
});

export type Statement = z.infer<typeof statementSchema>;
export type Provenance = z.infer<typeof provenanceSchema>;
export type TestResult = z.infer<typeof testResultSchema>;

/** A statement from bytes whose signature was already checked. */
export function parseStatement(bytes: Uint8Array): Statement {
  return parseDocument(bytes, statementSchema, "in-toto statement", DOCUMENT_LIMITS.statement);
}

export function provenanceOf(statement: Statement): Provenance {
  return checkDocument(statement.predicate, provenanceSchema, "SLSA provenance");
}

export function testResultOf(statement: Statement): TestResult {
  return checkDocument(statement.predicate, testResultSchema, "test result");
}
