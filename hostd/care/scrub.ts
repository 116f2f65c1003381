import type { CareDocument } from "../../manifests/care.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import type { Engine } from "../engine.ts";
import { createPace } from "../stage/pace.ts";
import { checkLayers } from "./fsck.ts";

const HOUR = 60 * 60 * 1000;

/** How often every layer is read whole, and after hostd's start for the first time. */
const SCRUB_INTERVAL = 7 * 24 * HOUR;
const FIRST_SCRUB = HOUR;

/** Bytes per second: a disk does not notice, 100 GB take three hours. */
const SCRUB_RATE = 10_000_000;

/** Reads the layers in the background, so that damage is known before the night that needs them. */
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

  async function scrubAgainAndAgain(): Promise<void> {
    const { clock, closing, log } = engineOf();
    for (let pause = FIRST_SCRUB; ; pause = SCRUB_INTERVAL) {
      await clock.sleep(pause, closing);
      if (closing.aborted) return;
      await pass({ repair: false, pace: createPace(SCRUB_RATE, clock) }).catch((error: unknown) => {
        if (!closing.aborted) log("error", "scrub stopped", { ...toFailureDocument(error) });
      });
    }
  }

  let scrubbing: Promise<void> | undefined;
  setImmediate(() => {
    scrubbing = scrubAgainAndAgain();
  });
  return {
    last: () => last,
    check: (options) => pass(options),
    async close() {
      await scrubbing;
      await turn;
    },
  };
}
