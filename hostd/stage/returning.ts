import { type Digest, hexOf, shortDigest } from "../../manifests/digest.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { Known } from "./identify.ts";

// A version that was good here, and that retention took off the disk, can be brought again for a way back: the journal, which
// nobody can rewrite unseen, says which digest was verified, released and run here.

/** What a staging of such a version is planned with. */
export interface Returning {
  image: Digest;
  /** The channel that released it here. */
  channel: string;
}

/** The image of `app` that was good here and whose digest begins so. Refuses (`unknown-image`) none, and more than one. */
export function planReturn({ journal, settings }: Engine, app: string, wanted: string): Returning {
  journal.apps.require(app);
  const found = journal.generations.onceGood(app, wanted.replace(/^sha256:/, ""));
  const [generation] = found;
  if (generation !== undefined && found.length === 1) {
    const { image } = generation;
    return { image, channel: journal.slots.lastStaged(app, image)?.detail.channel ?? settings.channel };
  }
  const expected = found.length === 0 ? "a version of it that was good on this node" : "one version of it";
  throw new HostdError("unknown-image", `${app}: expected ${expected}, got ${found.length || "none"} at ${wanted}`, {
    hint: `hostd changes ${app} shows which ran; without a digest, hostd stage ${app} brings what the channel releases`,
  });
}

/**
 * What the journal has of it. Judged once more, by today's policy: revoked, below the floor, or by keys that count no longer, it is
 * not taken (`not-allowed`). How fresh the repository is does not matter: it was fresh when the version came.
 */
export async function knownReturning(
  engine: Engine,
  asked: Returning & { app: string },
  signal: AbortSignal,
): Promise<Known> {
  const { app, image } = asked;
  const { generations, slots, quarantine } = engine.journal;
  quarantine.refuse(app, image);
  const [generation] = generations.onceGood(app, hexOf(image));
  const staged = slots.lastStaged(app, image);
  if (generation === undefined || staged === undefined) {
    throw new HostdError("journal", `${app} ${shortDigest(image)}: expected a record of its staging, found none`);
  }
  const { version, sequence, declared } = staged.detail;
  await engine.mayReturn({ ...asked, sequence }, signal);
  const config = declared ?? generations.config(app, generation.config).declared;
  return { image: { digest: image }, version, sequence, config, order: staged.operation };
}
