import { type Digest, hexOf, shortDigest } from "../../manifests/digest.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { Known } from "./identify.ts";

// A version that ran here, and that retention took off the disk, can be brought again for a way back: the journal, which
// nobody can rewrite unseen, says which digest was verified, released and run here.

/** The image of `app` that ran here and whose digest begins so. Refuses (`unknown-image`) none, and more than one. */
export function returningImage({ journal }: Engine, app: string, wanted: string): Digest {
  journal.apps.require(app);
  const found = journal.generations.everOf(app, wanted.replace(/^sha256:/, ""));
  const [generation] = found;
  if (generation !== undefined && found.length === 1) return generation.image;
  const expected = found.length === 0 ? "a version of it that ran on this node" : "one version of it";
  throw new HostdError("unknown-image", `${app}: expected ${expected}, got ${found.length || "none"} at ${wanted}`, {
    hint: `hostd changes ${app} shows which ran; without a digest, hostd stage ${app} brings what the channel releases`,
  });
}

/**
 * What the journal has of it. Judged once more, by today's policy: revoked, below the floor, or by keys that count no longer, it is
 * not taken (`not-allowed`); how fresh the repository is does not matter, since it was fresh when the version came.
 */
export async function knownReturning(
  engine: Engine,
  asked: { app: string; channel: string; image: Digest },
  signal: AbortSignal,
): Promise<Known> {
  const { app, image } = asked;
  const { generations, slots, quarantine } = engine.journal;
  quarantine.refuse(app, image);
  const [generation] = generations.everOf(app, hexOf(image));
  const staged = slots.lastStaged(app, image);
  if (generation === undefined || staged === undefined) {
    throw new HostdError("journal", `${app} ${shortDigest(image)}: expected a record of its staging, found none`);
  }
  await engine.mayReturn({ ...asked, sequence: staged.sequence }, signal);
  const { declared } = generations.config(app, generation.config);
  return { image: { digest: image }, version: staged.version, sequence: staged.sequence, config: declared };
}
