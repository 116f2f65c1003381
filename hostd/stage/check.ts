import type { Digest } from "../../manifests/digest.ts";
import { Failure, toFailureDocument } from "../../manifests/failure.ts";
import type { UpdateDocument } from "../../manifests/update.ts";
import type { Engine } from "../engine.ts";
import { refuseHost } from "../host/staging.ts";
import { identify, refuseRelease } from "./identify.ts";
import { bytesToFetch } from "./missing.ts";

/** Failures that say something of the release or its image; any other says that nobody can know now. */
const REFUSALS: ReadonlySet<string> = new Set([
  ...["not-allowed", "sequence-lower", "quarantined"],
  ...["wrong-product", "wrong-architecture", "wrong-shape"],
]);

/**
 * Asks a channel what it has for an app, verified as for a staging, and says what this node would do with it. Fetches
 * metadata alone, and begins nothing.
 */
export async function checkChannel(engine: Engine, app: string, channel: string): Promise<UpdateDocument> {
  const row = engine.journal.apps.get(app);
  const current = row?.current === undefined ? undefined : engine.journal.generations.require(app, row.current);
  const updatesHeld = engine.journal.updateHolds.of(app);
  const about = {
    schema: 1 as const,
    app,
    channel,
    ...(updatesHeld === undefined ? {} : { updatesHeld }),
    ...(current === undefined ? {} : { current: { image: current.image as Digest, version: current.version } }),
  };
  let release: UpdateDocument["release"];
  try {
    const found = await engine.examine({ app, channel, floor: row?.floor ?? 0 }, engine.closing);
    const { image, version, sequence } = found;
    release = { image: image.digest, version, sequence };
    if (current?.image === image.digest) return { ...about, state: "runs", release };
    refuseRelease(engine, app, found);
    const identified = await identify(engine, app, found);
    refuseHost(engine, app, identified);
    const fetches = await bytesToFetch(engine, identified);
    const state = engine.journal.slots.get(app, image.digest) === undefined ? "new" : "here";
    return { ...about, state, release, fetches };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.code === "no-release") return { ...about, state: "none" };
    if (!REFUSALS.has(error.code)) throw error;
    return { ...about, state: "refused", ...(release === undefined ? {} : { release }), why: toFailureDocument(error) };
  }
}
