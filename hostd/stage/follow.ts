import type { Digest } from "../../manifests/digest.ts";
import { Failure } from "../../manifests/failure.ts";
import { isWithin, type Window } from "../../manifests/window.ts";
import type { Engine } from "../engine.ts";
import type { AppRow } from "../journal/apps.ts";

/** What is done by itself about what the channel releases. */
export interface Follow {
  /** `stage`: it is brought, and somebody switches to it. */
  how: "stage" | "activate";
  /** When it is switched to; at any time where it is undefined. */
  between?: Window | undefined;
}

/** Nothing to do now, which the next look finds out again. */
const LATER: ReadonlySet<string> = new Set(["no-release", "busy"]);

/**
 * Begins what the release that a channel has for an app asks for, if anything: to bring it, or to switch to it. It never
 * switches to a version that ran here before, since whoever or whatever went back from it had a reason, nor where the app
 * does not run or is kept stopped, nor while its updates are held. Throws what hinders the look at the channel.
 */
export async function followChannel(engine: Engine, row: AppRow): Promise<void> {
  const { follow, channel } = engine.settings;
  if (follow === undefined || !isHere(engine, row)) return;
  try {
    const { image } = await engine.examine({ app: row.app, channel, floor: row.floor }, engine.closing);
    begin(engine, engine.journal.apps.get(row.app) ?? row, image.digest, follow); // that took its time
  } catch (error) {
    if (!(error instanceof Failure && LATER.has(error.code))) throw error;
  }
}

/** What was removed from the node stays removed. */
function isHere({ journal }: Engine, { app, current }: AppRow): boolean {
  return current !== undefined || journal.slots.list(app).length > 0;
}

function begin({ journal, submit, clock, settings }: Engine, row: AppRow, image: Digest, follow: Follow): void {
  const { app, current, hold } = row;
  const slot = journal.slots.get(app, image);
  if (slot?.state === "failed" || journal.quarantine.of(app, image) !== undefined) return;
  const isTime = follow.between === undefined || isWithin(follow.between, clock.date());
  const isNew = journal.generations.numbersOf(app, image).length === 0;
  const runs = current !== undefined && hold === undefined;
  const switches = follow.how === "activate" && isTime && isNew && runs && journal.updateHolds.of(app) === undefined;
  const asked = { app, by: "hostd" };
  if (slot === undefined) submit[switches ? "deploy" : "stage"]({ ...asked, channel: settings.channel });
  else if (switches) submit.activate({ ...asked, image });
}
