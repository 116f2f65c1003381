import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { writeDurably } from "../effects/durable.ts";
import { unlessMissing } from "../effects/errno.ts";
import { withLock } from "../effects/lock.ts";
import { type Digest, digestFromHex, hexOf, isDigest } from "../manifests/digest.ts";
import { DOCUMENT_LIMITS, parseDocument } from "../manifests/document.ts";
import { type Descriptor, descriptorSchema, MEDIA_TYPES, parseManifest } from "../manifests/image.ts";
import type { Store } from "./store.ts";
import { StoreError } from "./store-error.ts";

/** The annotation of a descriptor in index.json that names it (image-spec annotations.md). */
const REF_NAME = "org.opencontainers.image.ref.name";

/** A name as image-spec annotations.md allows it. */
const NAME = /^[A-Za-z0-9]+(?:[-._:@/+]+[A-Za-z0-9]+)*$/;

const SHORTEST_PREFIX = 6;
const LOCK_WAIT_MS = 30_000;

/** Other tools' fields are kept as they are. */
const indexSchema = z.looseObject({
  schemaVersion: z.literal(2),
  manifests: z.array(z.looseObject(descriptorSchema.shape)),
});

type Index = z.infer<typeof indexSchema>;

/** The part of a store that keeps names: index.json, changed by one process at a time. */
export function createIndex(directory: string, blobs: string): Pick<Store, "tag" | "untag" | "tags" | "resolve"> {
  const path = join(directory, "index.json");
  const change = (edit: (index: Index) => Index) =>
    withLock(path, async () => writeDurably(path, JSON.stringify(edit(await readIndex(path)))), LOCK_WAIT_MS);

  return {
    async tag(name, manifest) {
      checkName(name);
      const annotations = { ...manifest.annotations, [REF_NAME]: name };
      await change((index) => without(index, name, { ...manifest, annotations }));
    },

    untag: (name) => change((index) => without(index, name)),

    async tags() {
      const { manifests } = await readIndex(path);
      const named = manifests.flatMap((entry) => {
        const name = entry.annotations?.[REF_NAME];
        return name === undefined ? [] : [{ name, descriptor: descriptorSchema.parse(entry) }];
      });
      return named.sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    async resolve(reference) {
      const { manifests } = await readIndex(path);
      const named = findNamed(manifests, reference);
      const begun = [...startsWith(reference, manifests), ...(await findLoose(blobs, reference))];
      const found = named ?? onlyOne(begun, reference);
      if (found !== undefined) return descriptorSchema.parse(found);
      throw new StoreError("reference-unknown", `${directory}: expected an image named ${reference}, got none`, {
        hint: "ostler images lists what there is",
      });
    },
  };
}

async function readIndex(path: string): Promise<Index> {
  const bytes = await unlessMissing(readFile(path));
  if (bytes === undefined) return { schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests: [] };
  return parseDocument(bytes, indexSchema, path, DOCUMENT_LIMITS.ociManifest);
}

function without(index: Index, name: string, added?: Descriptor): Index {
  const kept = index.manifests.filter((entry) => entry.annotations?.[REF_NAME] !== name);
  return { ...index, manifests: added === undefined ? kept : [...kept, added] };
}

function findNamed(manifests: Index["manifests"], reference: string) {
  const named = (name: string) => manifests.find((entry) => entry.annotations?.[REF_NAME] === name);
  return named(reference) ?? (reference.includes(":") ? undefined : named(`${reference}:latest`));
}

/** The hex digits of a digest or of its start; undefined where a reference is neither. */
function prefixOf(reference: string): string | undefined {
  const prefix = reference.replace(/^sha256:/, "");
  return prefix.length >= SHORTEST_PREFIX && /^[0-9a-f]+$/.test(prefix) ? prefix : undefined;
}

function startsWith<T extends { digest: Digest }>(reference: string, manifests: readonly T[]): T[] {
  const prefix = prefixOf(reference);
  return prefix === undefined ? [] : manifests.filter(({ digest }) => hexOf(digest).startsWith(prefix));
}

/** Manifests that no name leads to any more, such as that of an image built before the one that has its tag now. */
async function findLoose(directory: string, reference: string): Promise<Descriptor[]> {
  const prefix = prefixOf(reference);
  const names = prefix === undefined ? [] : ((await unlessMissing(readdir(directory))) ?? []);
  const found: Descriptor[] = [];
  for (const name of names.filter((one) => isDigest(`sha256:${one}`) && one.startsWith(prefix ?? ""))) {
    const { size } = await stat(join(directory, name));
    if (!isDigest(reference) && !(await isManifest(join(directory, name), size))) continue;
    found.push({ mediaType: MEDIA_TYPES.manifest, digest: digestFromHex(name), size });
  }
  return found;
}

/** What it says is believed when it is read by its digest, not here. */
async function isManifest(path: string, size: number): Promise<boolean> {
  if (size > DOCUMENT_LIMITS.ociManifest) return false;
  const bytes = await readFile(path);
  try {
    parseManifest(bytes);
    return true;
  } catch {
    return false;
  }
}

function onlyOne<T extends { digest: Digest }>(found: readonly T[], reference: string): T | undefined {
  const digests = [...new Set(found.map(({ digest }) => digest))];
  if (digests.length <= 1) return found[0];
  throw new StoreError(
    "reference-ambiguous",
    `expected one image whose digest starts with ${prefixOf(reference)}, got ${digests.join(", ")}`,
    {
      hint: "give more digits of the one you mean",
    },
  );
}

function checkName(name: string): void {
  // A name that reads as a digest could be taken for another image.
  if (NAME.test(name) && !name.startsWith("sha256:")) return;
  throw new StoreError("reference-unknown", `expected an image name such as shop:latest, got ${JSON.stringify(name)}`);
}
