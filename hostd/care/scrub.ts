import type { CareDocument } from "../../manifests/care.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import { careForSnapshots, type Seen } from "../data/care.ts";
import type { Engine } from "../engine.ts";
import { createPace } from "../stage/pace.ts";
import { checkLayers } from "./fsck.ts";

const HOUR = 60 * 60 * 1000;

/** How often hostd looks whether anything is due; snapshots at every look. */
const LOOK = HOUR;
/** Every so many looks, from the first on, every layer is read whole: once a week. */
const LOOKS_PER_SCRUB = 7 * 24;

/** Bytes per second: a disk does not notice, 100 GB take three hours. */
const SCRUB_RATE = 10_000_000;

/** Looks after layers and snapshots in the background, so that damage is known before the night that needs them. */
export interface Care {
  /** The last whole pass, whoever asked for it. */
  last(): CareDocument | undefined;
  /** One pass now; a second one that is asked for meanwhile gets the same answer, unless it repairs. */
  check(options: { repair: boolean }): Promise<CareDocument>;
  close(): Promise<void>;
}

export function openCare(engineOf: () => Engine): Care {
  let last: CareDocument | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  function pass(options: Parameters<typeof checkLayers>[1]): Promise<CareDocument> {
    const begun = turn.then(async () => {
      last = await checkLayers(engineOf(), options);
      return last;
    });
    turn = begun.catch(() => undefined);
    return begun;
  }

  async function lookAgainAndAgain(): Promise<void> {
    const { clock, closing, log } = engineOf();
    let due: Seen = new Set();
    for (let look = 0; ; look++) {
      await clock.sleep(LOOK, closing);
      if (closing.aborted) return;
      const pace = createPace(SCRUB_RATE, clock);
      try {
        due = await careForSnapshots(engineOf(), due, pace);
        if (look % LOOKS_PER_SCRUB === 0) await pass({ repair: false, pace });
      } catch (error) {
        if (!closing.aborted) log("error", "care stopped", { ...toFailureDocument(error) });
      }
    }
  }

  let looking: Promise<void> | undefined;
  setImmediate(() => {
    looking = lookAgainAndAgain();
  });
  return {
    last: () => last,
    check: (options) => pass(options),
    async close() {
      await looking;
      await turn;
    },
  };
}
