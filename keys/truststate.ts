import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { writeDurably } from "../effects/durable.ts";
import { unlessMissing } from "../effects/errno.ts";
import { parseDocument } from "../manifests/document.ts";
import { TrustError } from "./error.ts";

const STATE_LIMIT = 64 * 1024 * 1024;

const filesSchema = z.record(z.string(), z.base64());

/** `state.json`: everything a client has verified, in one file, so that a power cut leaves it whole. */
const stateSchema = z.strictObject({
  schema: z.literal(1),
  /** Newest accepted metadata by role: what nothing older is accepted after. */
  newest: filesSchema,
  /** The last set that was verified from root to channels: what is trusted while the repository is away. */
  complete: filesSchema.optional(),
  /** Policy and releases named by that set, by SHA-256. */
  documents: filesSchema,
});

export interface TrustState {
  newest: Map<string, Buffer>;
  complete: Map<string, Buffer> | undefined;
  documents: Map<string, Buffer>;
  /** What state.json held when it was read. */
  read: Buffer | undefined;
}

/**
 * The state of a trust directory; throws `not-seeded` where it has no root, and `trust-damaged` where it is not what was
 * written, as `checkRoot` tells of the root. What else was damaged is not believed either, and is fetched again.
 */
export async function readTrustState(directory: string, checkRoot: (root: Buffer) => void): Promise<TrustState> {
  const read = await unlessMissing(readFile(statePath(directory)));
  if (read !== undefined) {
    try {
      const state = parseDocument(read, stateSchema, statePath(directory), STATE_LIMIT);
      const complete = state.complete && decode(state.complete);
      const newest = decode(state.newest);
      checkRoot(newest.get("root") ?? Buffer.alloc(0));
      const documents = [...decode(state.documents)].filter(([name, bytes]) => hash("sha256", bytes) === name);
      return { newest, complete, documents: new Map(documents), read };
    } catch (cause) {
      throw damaged(directory, cause as Error);
    }
  }
  const root = await unlessMissing(readFile(seedPath(directory)));
  if (root === undefined) {
    throw new TrustError("not-seeded", `${directory}: expected root.json, got none: nothing is trusted yet`, {
      hint: "seed it with the repository's metadata/1.root.json, brought on a way that you trust",
    });
  }
  return { newest: new Map([["root", root]]), complete: undefined, documents: new Map(), read };
}

/** Makes the state durable, unless another process of this directory did so meanwhile: then its state stays. */
export async function writeTrustState(directory: string, state: TrustState): Promise<void> {
  const bytes = Buffer.from(
    JSON.stringify({
      schema: 1,
      newest: encode(state.newest),
      ...(state.complete === undefined ? {} : { complete: encode(state.complete) }),
      documents: encode(state.documents),
    }),
  );
  if (state.read?.equals(bytes)) return;
  const present = await unlessMissing(readFile(statePath(directory)));
  const isUnchanged = present === undefined ? state.read === undefined : state.read?.equals(present) === true;
  if (!isUnchanged) return;
  await writeDurably(statePath(directory), bytes);
  state.read = bytes;
}

/** The seed is beside it: nothing has to be brought here, and all that is lost is which metadata was the newest. */
function damaged(directory: string, cause: Error): TrustError {
  const message = `${statePath(directory)}: expected what was written there, got something else: ${cause.message}`;
  return new TrustError("trust-damaged", message, {
    cause,
    hint: `rm ${statePath(directory)}: the next refresh verifies everything again, from the root.json beside it`,
  });
}

export function seedPath(directory: string): string {
  return join(directory, "root.json");
}

function statePath(directory: string): string {
  return join(directory, "state.json");
}

function encode(files: ReadonlyMap<string, Buffer>): Record<string, string> {
  return Object.fromEntries([...files].map(([name, bytes]) => [name, bytes.toString("base64")]));
}

function decode(files: Readonly<Record<string, string>>): Map<string, Buffer> {
  return new Map(Object.entries(files).map(([name, text]) => [name, Buffer.from(text, "base64")]));
}
