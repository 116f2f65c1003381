import { toFailureDocument } from "../../manifests/failure.ts";
import type { ConfigState } from "../../manifests/node.ts";
import type { Engine } from "../engine.ts";
import type { ConfigBasis } from "../journal/generations.ts";
import type { SlotRow } from "../journal/slots.ts";
import { commonPlan, requireApp, type SwitchPlan } from "../switch/plan.ts";
import { changedFiles, shownFiles } from "./files.ts";

type Journaled = Pick<Engine, "journal">;

/** What ran with which revision of the node's config, for the question whether one was taken back. */
export interface Past {
  number: number;
  revision: number;
  state: string;
  /** Its switch changed config and nothing else. */
  alone: boolean;
}

/**
 * Why a revision is not taken again by itself: it failed in a switch of config alone, or somebody went back from it. A
 * later revision is another one, and `config apply` is somebody's word.
 */
export function takenBack(past: readonly Past[], current: { number: number; revision: number }, wanted: number) {
  if (wanted === current.revision) return undefined;
  const of = past.filter(({ revision }) => revision === wanted);
  if (of.some(({ state, alone }) => state === "failed" && alone)) return "it failed its trial here";
  if (of.some(({ state, number }) => state === "good" && number < current.number)) return "it was taken back here";
  return undefined;
}

/**
 * The config of a switch to a slot: what the release declares, over it the node's layers as they are now. Files that
 * come out the same are the same config, whatever was said meanwhile about values that nobody reads.
 */
export function configFor(engine: Journaled, app: string, slot: SlotRow): { version: number; note?: string } {
  const { apps, generations } = engine.journal;
  const { basis, ...note } = basisFor(engine, app, slot);
  const current = apps.get(app)?.current;
  if (current === undefined) return { version: generations.configVersion(app, basis) };
  const { config: version } = generations.require(app, current);
  if (sameFiles(engine, app, slot, generations.config(app, version), basis)) return { version, ...note };
  return { version: generations.configVersion(app, basis), ...note };
}

/** What that config is made from; writes nothing. */
export function basisFor(engine: Journaled, app: string, slot: SlotRow): { basis: ConfigBasis; note?: string } {
  const { apps, generations, config } = engine.journal;
  const current = apps.get(app)?.current;
  const head = config.concerning(app, config.head());
  if (current === undefined) return { basis: { declared: slot.declared, revision: head } };
  const { revision } = generations.config(app, generations.require(app, current).config);
  const why = takenBack(generations.past(app, head), { number: current, revision }, head);
  if (why === undefined) return { basis: { declared: slot.declared, revision: head } };
  return {
    basis: { declared: slot.declared, revision },
    note: `kept config revision ${revision}, not ${head}: ${why}; hostd config apply ${app} tries it again`,
  };
}

/** What a switch of config alone would be; undefined where no file would be another one. */
export function planConfig(engine: Journaled, app: string, revision: number | undefined) {
  const { apps, generations, slots, config: log } = engine.journal;
  const state = apps.get(app);
  if (state?.current === undefined) return undefined;
  const { number, image, config: version } = generations.require(app, state.current);
  const slot = slots.require(app, image);
  const before = generations.config(app, version);
  const wanted = log.concerning(app, Math.min(revision ?? log.head(), log.head()));
  const basis = { declared: before.declared, revision: wanted };
  const files = requireApp(slot).config;
  const changed = changedFiles(shownFiles(engine, app, files, before), shownFiles(engine, app, files, basis));
  if (changed.length === 0) return undefined;
  // An app that is kept stopped has nobody who could hear a signal.
  const reload = state.hold === undefined && changed.every((file) => file.reload !== undefined);
  const declared = requireApp(slot);
  const situation = {
    app,
    current: { number, image, config: version, app: declared },
    hold: state.hold,
    dataFormat: state.data_format,
    snapshots: [],
    nextGeneration: generations.nextNumber(app),
  };
  // The same version writes on: there is nothing that a snapshot could bring back.
  const { snapshot: _, beside, stopFirst, ...common } = commonPlan(situation, declared);
  const order = {
    ...(beside === undefined ? {} : { beside }),
    ...(stopFirst === undefined ? {} : { stopFirst }),
  };
  const config = generations.configVersion(app, basis);
  const plan: SwitchPlan = { image, version: slot.version, config, ...common, ...(reload ? {} : order) };
  return { plan, kind: reload ? ("reload" as const) : ("configure" as const) };
}

/** What an app was given, beside what the node's layers say now; undefined where nothing runs. */
export function configState(engine: Journaled, app: string): ConfigState | undefined {
  const { apps, generations, slots, config } = engine.journal;
  const current = apps.get(app)?.current;
  if (current === undefined) return undefined;
  const { number, image, config: version } = generations.require(app, current);
  const before = generations.config(app, version);
  const [declared, applied] = [config.concerning(app, config.head()), before.revision];
  if (declared === applied) return { declared, applied, drift: [] };
  const files = requireApp(slots.require(app, image)).config;
  try {
    const now = shownFiles(engine, app, files, { ...before, revision: declared });
    const drift = changedFiles(shownFiles(engine, app, files, before), now).map(({ path }) => path);
    const why = takenBack(generations.past(app, declared), { number, revision: applied }, declared);
    return { declared, applied, drift, ...(why === undefined || drift.length === 0 ? {} : { problem: why }) };
  } catch (error) {
    return { declared, applied, drift: files.map(({ path }) => path), problem: toFailureDocument(error).message };
  }
}

function sameFiles(engine: Journaled, app: string, slot: SlotRow, before: ConfigBasis, after: ConfigBasis): boolean {
  const files = requireApp(slot).config;
  try {
    return changedFiles(shownFiles(engine, app, files, before), shownFiles(engine, app, files, after)).length === 0;
  } catch {
    return false; // the switch itself says what is missing, before it touches anything
  }
}
