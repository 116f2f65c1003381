import { createHash } from "node:crypto";
import { loadImage } from "../../images/image.ts";
import { type Home, openSigner } from "../../keys/authority.ts";
import { appendEnvelopes } from "../../keys/envelopes.ts";
import type { Sealer } from "../../keys/seal.ts";
import { signStatement, testResultStatement } from "../../keys/statements.ts";
import { type Digest, digestFromHex } from "../../manifests/digest.ts";
import { openBuiltStore } from "../promote/open-store.ts";
import { findUnnamed, type UnnamedKey } from "./unnamed.ts";

/** The suite that a person's verdict is recorded as. */
const MANUAL_SUITE = "manual";

export interface MarkOptions {
  home: Home;
  store: string;
  reference: string;
  mark: "green" | "red";
  reason: string;
  sealer: Sealer | undefined;
}

export interface Marked {
  image: Digest;
  keyid: string;
  /** The key, where the policy names no such key. */
  unnamed: UnnamedKey[];
}

/** Records a person's verdict about an image, signed by the tester key. The reason is its one test. */
export async function markImage(options: MarkOptions): Promise<Marked> {
  const { home, mark, reason } = options;
  const store = await openBuiltStore(options.store);
  const { descriptor, app } = await loadImage(store, options.reference);
  const signer = await openSigner(home, "tester", options.sealer);
  const statement = testResultStatement(descriptor.digest, {
    name: app?.name ?? options.reference,
    suites: [{ name: MANUAL_SUITE, digest: digestFromHex(createHash("sha256").update(reason).digest("hex")) }],
    passed: mark === "green" ? [reason] : [],
    failed: mark === "red" ? [reason] : [],
  });
  await appendEnvelopes(options.store, descriptor.digest, [signStatement(statement, signer)]);
  const unnamed = await findUnnamed(home, { tester: signer }, new Date());
  return { image: descriptor.digest, keyid: signer.key.keyid, unnamed };
}
