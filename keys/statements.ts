import { type Digest, hexOf } from "../manifests/digest.ts";
import { canonicalJson } from "../manifests/document.ts";
import {
  PREDICATES,
  type Provenance,
  STATEMENT_PAYLOAD_TYPE,
  STATEMENT_TYPE,
  type Statement,
  type TestResult,
} from "../manifests/statement.ts";
import { type Envelope, signEnvelope } from "./dsse.ts";
import type { Signer } from "./signer.ts";

const BUILDER_ID = "https://ostler.dev/builder/v1";

/** What a builder says about an image that it made. */
export interface BuildFacts {
  name: string;
  recipe: { name: string; digest: Digest };
  commit?: string | undefined;
  /** True when everything the build read was committed. */
  clean: boolean;
  /** FROM reference as written -> what it gave. */
  bases: Readonly<Record<string, Digest>>;
  formatVersion: number;
  /** Seconds since 1970. */
  epoch: number;
  /** Steps that had network. */
  network: readonly string[];
  builderVersion: string;
  startedOn: Date;
  finishedOn: Date;
}

/** SLSA provenance v1 for an image: https://slsa.dev/spec/v1.0/provenance */
export function provenanceStatement(image: Digest, facts: BuildFacts): Statement {
  const predicate: Provenance = {
    buildDefinition: {
      buildType: "https://ostler.dev/recipe/v1",
      externalParameters: {
        recipe: { name: facts.recipe.name, digest: digestSet(facts.recipe.digest) },
        source: { ...(facts.commit === undefined ? {} : { commit: facts.commit }), clean: facts.clean },
      },
      internalParameters: {
        formatVersion: facts.formatVersion,
        epoch: facts.epoch,
        network: [...facts.network],
      },
      resolvedDependencies: Object.entries(facts.bases).map(([uri, digest]) => ({ uri, digest: digestSet(digest) })),
    },
    runDetails: {
      builder: { id: BUILDER_ID, version: { ostler: facts.builderVersion } },
      metadata: { startedOn: facts.startedOn.toISOString(), finishedOn: facts.finishedOn.toISOString() },
    },
  };
  return statementOf(image, facts.name, PREDICATES.provenance, predicate);
}

/** What a tester found. */
export interface TestFacts {
  name: string;
  /** Suites that ran, by name, with the digest of what they ran. */
  suites: readonly { name: string; digest: Digest }[];
  passed: readonly string[];
  failed: readonly string[];
}

/** in-toto test-result v0.1 for an image: FAILED when a test failed or none ran, else PASSED. */
export function testResultStatement(image: Digest, facts: TestFacts): Statement {
  const green = facts.failed.length === 0 && facts.passed.length > 0;
  const predicate: TestResult = {
    result: green ? "PASSED" : "FAILED",
    configuration: facts.suites.map(({ name, digest }) => ({ name, digest: digestSet(digest) })),
    passedTests: [...facts.passed],
    warnedTests: [],
    failedTests: [...facts.failed],
  };
  return statementOf(image, facts.name, PREDICATES.testResult, predicate);
}

/** Signs a statement in its canonical form, in a DSSE envelope. */
export function signStatement(statement: Statement, signer: Signer): Envelope {
  return signEnvelope(STATEMENT_PAYLOAD_TYPE, Buffer.from(canonicalJson(statement)), [signer]);
}

function statementOf(image: Digest, name: string, predicateType: string, predicate: object): Statement {
  return {
    _type: STATEMENT_TYPE,
    subject: [{ name, digest: digestSet(image) }],
    predicateType,
    predicate: { ...predicate },
  };
}

function digestSet(digest: Digest): Record<string, string> {
  return { sha256: hexOf(digest) };
}
