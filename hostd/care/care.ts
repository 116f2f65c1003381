import type { CareDocument, Damage, LookDocument } from "../../manifests/care.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import { type Attempt, careForSnapshots, readNewSnapshots, type Seen } from "../data/care-for-snapshots.ts";
import { describeLeftover } from "../data/leftovers.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { damagedJournal } from "../journal/inspect.ts";
import { careForVersions } from "../retention/care-for-versions.ts";
import type { Old } from "../retention/pushed.ts";
import { followChannel } from "../stage/follow.ts";
import { createPace } from "../stage/pace.ts";
import { checkLayers } from "./fsck.ts";
import type { KeptScrub } from "./kept-scrub.ts";
import { knownLayers } from "./layers.ts";

/** Bytes per second: a disk does not notice, 100 GB take three hours. */
const SCRUB_RATE = 10_000_000;

/** Milliseconds from hostd's start to its first look: whoever asks for the age of the last one waits no longer. */
const FIRST_LOOK = 60_000;

/**
 * Looks after journal, versions, snapshots and layers in the background, so that damage is known before the night that
 * needs them. One timer for all of it: nothing else wakes an idle hostd.
 */
export interface Care {
  /** Looks from now on: the node is in order. */
  begin(): void;
  /**
   * The last whole pass over all layers, whoever asked for it, and the last look at everything else. Damage is left out
   * once its layer is no version's any more, or was laid down anew.
   */
  lastScrub(): CareDocument | undefined;
  lastLook(): LookDocument | undefined;
  /** Told of every layer that was laid down from its blob: what was found of it before is over. */
  laidDown(root: string): void;
  /** One pass over all layers now; a second one that is asked for meanwhile gets its own turn. */
  check(options: { repair: boolean }): Promise<CareDocument>;
  /** Resolves when the journal was found damaged: then nothing may be done any more. */
  readonly damaged: Promise<HostdError>;
  close(): Promise<void>;
}

/** What goes at the next look if its time is still over then: a clock that jumps must cost nothing. */
interface Due {
  snapshots: Seen;
  pushed: Old;
}

export function openCare(engineOf: () => Engine, kept: KeptScrub): Care {
  let scrub = kept.last;
  let found: Damage[] = []; // by the pass under way, else by the last one
  let look: LookDocument | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  let keeping: Promise<void> = Promise.resolve();
  let scrubbed: number | undefined;
  let reading: Promise<void> | undefined;
  const { promise: damaged, resolve: tellDamaged } = Promise.withResolvers<HostdError>();

  function pass(options: Parameters<typeof checkLayers>[1]): Promise<CareDocument> {
    const begun = turn.then(async () => {
      found = [];
      scrub = await checkLayers(engineOf(), options, found);
      await keep();
      return scrub;
    });
    turn = begun.catch(() => undefined);
    return begun;
  }

  /** What was found is told all the same where the disk does not take it. */
  function keep(): Promise<void> {
    const write = async () => scrub && kept.keep(scrub);
    keeping = keeping.then(write).catch((error) => told(engineOf(), "what was found of layers not kept", error));
    return keeping;
  }

  async function lookAgainAndAgain(): Promise<void> {
    const engine = engineOf();
    const { clock, closing, settings } = engine;
    let due: Due = { snapshots: new Set(), pushed: new Set() };
    scrubbed = whenOf(kept.last, engine);
    for (let pause = Math.min(FIRST_LOOK, settings.care.every); ; pause = settings.care.every) {
      await clock.sleep(pause, closing);
      if (closing.aborted) return;
      const seen = await lookOnce(engine, due, look?.journal.verified);
      if (seen instanceof HostdError) return tellDamaged(seen);
      ({ look, due } = seen);
      reading ??= read(engine).finally(() => {
        reading = undefined;
      });
    }
  }

  /** Reads new snapshots, and all layers where it is time: that takes hours, and the looks go on meanwhile. */
  async function read(engine: Engine): Promise<void> {
    const { clock, settings } = engine;
    const pace = createPace(SCRUB_RATE, clock);
    await readNewSnapshots(engine, pace).catch((error) => told(engine, "snapshots not read", error));
    if (scrubbed !== undefined && clock.now() - scrubbed < settings.care.scrubEvery) return;
    scrubbed = clock.now();
    await pass({ repair: false, pace }).catch((error) => told(engine, "layers not read", error));
  }

  let looking: Promise<void> | undefined;
  return {
    begin() {
      looking ??= lookAgainAndAgain();
    },
    lastScrub: () => scrub && { ...scrub, damaged: ofKnownLayers(engineOf(), scrub.damaged) },
    lastLook: () => look,
    laidDown(root) {
      for (const damaged of [found, scrub?.damaged ?? []]) {
        const at = damaged.findIndex(({ what }) => what === root);
        if (at < 0) continue;
        damaged.splice(at, 1);
        void keep();
      }
    },
    check: (options) => pass(options),
    damaged,
    async close() {
      await looking;
      await reading;
      await turn;
      await keeping;
    },
  };
}

/** On the clock that only goes forward; a pass of the future, which a clock set back leaves behind, is none. */
function whenOf(scrub: CareDocument | undefined, { clock }: Engine): number | undefined {
  const age = scrub === undefined ? -1 : clock.date().getTime() - Date.parse(scrub.at);
  return age < 0 ? undefined : clock.now() - age;
}

function ofKnownLayers(engine: Engine, damaged: readonly Damage[]): Damage[] {
  if (damaged.length === 0) return [];
  const known = new Set(knownLayers(engine).map(({ verity }) => verity.root));
  return damaged.filter(({ what }) => known.has(what));
}

/** Each part by itself: what hinders one is told, and hinders no other. A damaged journal ends the look. */
async function lookOnce(
  engine: Engine,
  before: Due,
  lastVerified: string | undefined,
): Promise<{ look: LookDocument; due: Due } | HostdError> {
  const at = engine.clock.date().toISOString();
  const due = { ...before };
  let damage: string | undefined;
  let verified = lastVerified;
  const problems: string[] = [];
  const attempt: Attempt = async (what, work) => {
    if (engine.closing.aborted) return;
    try {
      await work();
    } catch (error) {
      problems.push(`${what}: ${toFailureDocument(error).message}`);
      told(engine, what, error);
    }
  };
  await attempt("journal not verified", () => {
    damage = engine.journal.findDamage();
    verified = at;
  });
  if (damage !== undefined) return damagedJournal(engine.journal.path, damage);
  await attempt("versions not looked after", async () => {
    due.pushed = await careForVersions(engine, before.pushed);
  });
  await attempt("snapshots not looked after", async () => {
    due.snapshots = await careForSnapshots(engine, before.snapshots, attempt);
  });
  await attempt("leftovers not removed", async () => {
    problems.push(...(await engine.node.removeDataLeftovers()).map(describeLeftover));
  });
  await attempt("channel not followed", async () => {
    for (const row of engine.journal.apps.list()) {
      await attempt(`channel not followed for ${row.app}`, () => followChannel(engine, row));
    }
  });
  await attempt("journal not copied", () => engine.journal.copy());
  const look = {
    schema: 1 as const,
    at,
    journal: { changes: engine.journal.changes(), ...(verified === undefined ? {} : { verified }) },
    due: due.snapshots.size,
    problems,
  };
  return { look, due };
}

function told(engine: Engine, what: string, error: unknown): void {
  if (!engine.closing.aborted) engine.log("error", what, { ...toFailureDocument(error) });
}
