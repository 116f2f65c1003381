import { type Digest, hexOf } from "../manifests/digest.ts";
import { DocumentError } from "../manifests/document.ts";
import type { Policy } from "../manifests/policy.ts";
import {
  PREDICATES,
  parseStatement,
  provenanceOf,
  STATEMENT_PAYLOAD_TYPE,
  type Statement,
  testResultOf,
} from "../manifests/statement.ts";
import { parseEnvelope, verifyEnvelope } from "./dsse.ts";
import { importPublicKey, type PublicKey, shortKeyid } from "./ed25519.ts";
import { TrustError } from "./error.ts";

export type StatementRole = "builder" | "tester";

/** What one envelope proves about an image; `line` counts envelopes from 1. */
export type Evidence =
  | { kind: "built"; line: number; key: PublicKey; clean: boolean; commit: string | undefined }
  | { kind: "green"; line: number; key: PublicKey; suites: readonly string[]; passed: number }
  | { kind: "red"; line: number; key: PublicKey; result: string; failed: readonly string[] }
  | { kind: "ignored"; line: number; reason: string; wanted: readonly StatementRole[] };

interface Holder {
  role: StatementRole;
  key: PublicKey;
}

/**
 * Reads envelopes that anyone may have written. An envelope counts only for the roles whose keys signed it and only
 * for this image; any other is `ignored`, with the reason, and weighs nothing. Never throws for what is in it.
 */
export function readEvidence(policy: Policy, image: Digest, envelopes: readonly unknown[]): Evidence[] {
  const holders: Holder[] = [
    ...policy.builders.map((key) => ({ role: "builder" as const, key: importPublicKey(key.public) })),
    ...policy.testers.map((key) => ({ role: "tester" as const, key: importPublicKey(key.public) })),
  ];
  return envelopes.map((envelope, index) => readOne(holders, image, envelope, index + 1));
}

function readOne(holders: readonly Holder[], image: Digest, envelope: unknown, line: number): Evidence {
  try {
    const accept = { keys: holders.map(({ key }) => key), threshold: 1, payloadTypes: [STATEMENT_PAYLOAD_TYPE] };
    const { payload, signedBy } = verifyEnvelope(envelope, accept);
    const signers = holders.filter(({ key }) => signedBy.some(({ hex }) => hex === key.hex));
    return readStatement(parseStatement(payload), signers, image, line);
  } catch (error) {
    if (error instanceof TrustError && error.code === "signature") return describeUnknown(holders, envelope, line);
    if (error instanceof TrustError || error instanceof DocumentError) return ignored(line, error.message);
    throw error;
  }
}

function readStatement(statement: Statement, signers: readonly Holder[], image: Digest, line: number): Evidence {
  const isAboutImage = statement.subject.some(({ digest }) => digest["sha256"] === hexOf(image));
  if (!isAboutImage) return ignored(line, "it is about another image");
  switch (statement.predicateType) {
    case PREDICATES.provenance: {
      const key = signers.find(({ role }) => role === "builder")?.key;
      if (key === undefined) return wrongRole(signers, "builder", line);
      const { commit, clean } = provenanceOf(statement).buildDefinition.externalParameters.source;
      return { kind: "built", line, key, clean, commit };
    }
    case PREDICATES.testResult: {
      const key = signers.find(({ role }) => role === "tester")?.key;
      if (key === undefined) return wrongRole(signers, "tester", line);
      const { result, configuration, passedTests, failedTests } = testResultOf(statement);
      if (result !== "PASSED" || failedTests.length > 0) return { kind: "red", line, key, result, failed: failedTests };
      const suites = configuration.flatMap(({ name }) => (name === undefined ? [] : [name]));
      return { kind: "green", line, key, suites, passed: passedTests.length };
    }
    default:
      return ignored(line, `its predicate is ${JSON.stringify(statement.predicateType)}, which no rule asks for`);
  }
}

function wrongRole(signers: readonly Holder[], wanted: StatementRole, line: number): Evidence {
  const names = signers.map(({ role, key }) => `${role} key ${shortKeyid(key.keyid)}`).join(" and ");
  return ignored(line, `signed by ${names}, which is not a ${wanted} key`, [wanted]);
}

/** No known key signed it: what its hints say, which are not to be believed but help people. */
function describeUnknown(holders: readonly Holder[], envelope: unknown, line: number): Evidence {
  const names = parseEnvelope(envelope).signatures.map(({ keyid }) => keyid ?? "without a name");
  const named = holders.find(({ key }) => names.includes(key.keyid));
  if (named !== undefined) {
    const key = `${named.role} key ${shortKeyid(named.key.keyid)}`;
    return ignored(line, `it names ${key}, whose signature does not fit: it was changed or forged`, [named.role]);
  }
  const shown = names.map((name) => JSON.stringify(shortKeyid(name))).join(", ");
  return ignored(line, `signed by key ${shown}, which is not a builder or tester key`, ["builder", "tester"]);
}

function ignored(line: number, reason: string, wanted: readonly StatementRole[] = ["builder", "tester"]): Evidence {
  return { kind: "ignored", line, reason, wanted };
}
