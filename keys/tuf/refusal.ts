import { LengthOrHashMismatchError, UnsignedMetadataError } from "@tufjs/models/dist/error.js";
import { BadVersionError, ExpiredMetadataError, RepositoryError } from "tuf-js/dist/error.js";
import * as z from "zod";
import { shortKeyid } from "../ed25519.ts";
import { TrustError, type TrustErrorCode } from "../error.ts";

const NOT_THE_PUBLISHED = "the file is not the one that was published: publish again, or restore the repository";

const HINTS: Partial<Record<TrustErrorCode, string>> = {
  "metadata-signature":
    "publish it again with that role's keys: `ostler promote` for a channel, `ostler keys list` shows who holds what",
  "metadata-rollback": "the repository offers less than it did before: restore it, or look for who replays it",
  "metadata-hash": NOT_THE_PUBLISHED,
  "metadata-shape": NOT_THE_PUBLISHED,
  "metadata-expired": "refresh the repository where the timestamp key is: `ostler keys refresh`",
};

/** A file of the repository that was refused: its path there, its unverified bytes. */
interface Refused {
  role: string;
  path: string;
  bytes: Buffer;
}

/** What tuf-js refused, as a refusal that names the rule, the file, the role and what was found in the file. */
export function toTrustError(error: unknown, refused: Refused): TrustError {
  const { role, path } = refused;
  const code = codeOf(error);
  const options = { cause: error, hint: HINTS[code], details: { rule: code, role, path } };
  return new TrustError(code, `${path}: role ${role}: ${reasonOf(error, code, refused)}`, options);
}

function reasonOf(error: unknown, code: TrustErrorCode, { role, bytes }: Refused): string {
  if (code === "metadata-signature") return describeSigners(bytes, role);
  // A JSON value of another shape makes tuf-js stumble in its own words.
  if (error instanceof TypeError) return "expected TUF metadata, got another document";
  return lowerFirst((error as Error).message);
}

function codeOf(error: unknown): TrustErrorCode {
  if (error instanceof UnsignedMetadataError) return "metadata-signature";
  if (error instanceof ExpiredMetadataError) return "metadata-expired";
  if (error instanceof LengthOrHashMismatchError) return "metadata-hash";
  if (error instanceof BadVersionError || error instanceof RepositoryError) return "metadata-rollback";
  return "metadata-shape";
}

const signedBySchema = z.object({ signatures: z.array(z.object({ keyid: z.string() })) });

/** Who the file says signed it: unverified, for people alone. */
function describeSigners(bytes: Buffer, role: string): string {
  const found = signedBySchema.safeParse(JSON.parse(bytes.toString("utf8")));
  const names = found.success ? found.data.signatures.map(({ keyid }) => shortKeyid(keyid)) : [];
  const signers = names.length === 0 ? "no key" : `key ${names.map((name) => JSON.stringify(name)).join(", ")}`;
  return `expected enough signatures by keys of role ${role}, got one that names ${signers}`;
}

function lowerFirst(text: string): string {
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}
