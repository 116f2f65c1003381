import type { Digest } from "../../manifests/digest.ts";
import { configFor } from "../config/choose.ts";
import type { Engine } from "../engine.ts";
import type { GenerationRow } from "../journal/generations.ts";
import type { RollbackSituation } from "../rollback/plan.ts";
import { planActivation, requireApp, type SwitchPlan } from "./plan.ts";

/** What the journal knows about an app, as the planners take it. */
export function situationOf(engine: Engine, app: string): RollbackSituation {
  const { apps, generations, slots, snapshots, quarantine } = engine.journal;
  const state = apps.get(app);
  const current = state?.current === undefined ? undefined : generations.require(app, state.current);
  return {
    app,
    current: current === undefined ? undefined : describe(engine, current),
    hold: state?.hold,
    dataFormat: state?.data_format,
    snapshots: snapshots.list(app),
    nextGeneration: generations.nextNumber(app),
    slots: slots.list(app).map((slot) => ({
      image: slot.image,
      version: slot.version,
      state: slot.state,
      config: slot.config,
      quarantined: quarantine.of(app, slot.image) !== undefined,
    })),
    generations: generations.ofSlots(app),
    generation: (number) => generations.get(app, number),
    onceGood: (hex) => generations.onceGood(app, hex),
    configBefore: () => (current === undefined ? undefined : generations.configBefore(app, current.number)),
  };
}

function describe(engine: Engine, { app, number, image, config }: GenerationRow) {
  const slot = engine.journal.slots.get(app, image);
  return { number, image, config, ...(slot === undefined ? {} : { app: requireApp(slot) }) };
}

/**
 * The switch to a slot of this node, as things stand, and what was decided about its config; no plan where the app runs
 * exactly that already, unless it is to run again.
 */
export function planSlot(
  engine: Engine,
  app: string,
  image: Digest,
  again = false,
): { plan: SwitchPlan | undefined; note?: string } {
  const { quarantine, slots } = engine.journal;
  quarantine.refuse(app, image);
  const slot = slots.require(app, image);
  const { version, ...note } = configFor(engine, app, slot);
  return { plan: planActivation(situationOf(engine, app), slot, version, again), ...note };
}
