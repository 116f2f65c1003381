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

/** The config of a switch to a slot, and why where it is not as declared; one that is new gets its version. */
export function configFor(engine: Journaled, app: string, slot: SlotRow): { version: number; note?: string } {
  const { basis, version, ...note } = chooseConfig(engine, app, slot);
  return { version: version ?? engine.journal.generations.configVersion(app, basis), ...note };
}

/**
 * The same without writing anything: what the release declares, over it the node's layers as they are now. Files that
 * come out the same are the same config, whatever was said meanwhile about values that nobody reads.
 */
export function chooseConfig(
  engine: Journaled,
  app: string,
  slot: SlotRow,
): { basis: ConfigBasis; version?: number; note?: string } {
  const { apps, generations } = engine.journal;
  const { basis, ...note } = basisFor(engine, app, slot);
  const current = apps.get(app)?.current;
  if (current === undefined) return { basis };
  const { config: version } = generations.require(app, current);
  const before = generations.config(app, version);
  return sameFiles(engine, app, slot, before, basis) ? { basis: before, version, ...note } : { basis, ...note };
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

/** The config that a switch of it alone leads to: as of a revision of the node (default: now), or a version the app had. */
export interface WantedConfig {
  revision?: number | undefined;
  config?: number | undefined;
}

/** How a switch of config alone would reach the app; undefined where no file would be another one. Writes nothing. */
export function kindOfConfig(engine: Journaled, app: string, wanted: WantedConfig) {
  const change = changeOfConfig(engine, app, wanted);
  return change && (change.reload ? ("reload" as const) : ("configure" as const));
}

/** The switch of config alone; undefined where no file would be another one. */
export function planConfig(engine: Journaled, app: string, wanted: WantedConfig): SwitchPlan | undefined {
  const change = changeOfConfig(engine, app, wanted);
  if (change === undefined) return undefined;
  const { generations } = engine.journal;
  const { state, current, slot, basis, reload } = change;
  const situation = {
    app,
    current,
    hold: state.hold,
    dataFormat: state.data_format,
    snapshots: [],
    nextGeneration: generations.nextNumber(app),
  };
  // The same version writes on: there is nothing that a snapshot could bring back.
  const { snapshot: _, beside, stopFirst, ...common } = commonPlan(situation, current.app);
  const order = {
    ...(beside === undefined ? {} : { beside }),
    ...(stopFirst === undefined ? {} : { stopFirst }),
  };
  const config = generations.configVersion(app, basis);
  return { image: current.image, version: slot.version, config, ...common, ...(reload ? {} : order) };
}

function changeOfConfig(engine: Journaled, app: string, wanted: WantedConfig) {
  const { apps, generations, slots, config: log } = engine.journal;
  const state = apps.get(app);
  if (state?.current === undefined) return undefined;
  const { number, image, config: version } = generations.require(app, state.current);
  const slot = slots.require(app, image);
  const before = generations.config(app, version);
  const basis =
    wanted.config === undefined
      ? { declared: before.declared, revision: log.concerning(app, wanted.revision ?? log.head()) }
      : generations.config(app, wanted.config);
  const files = requireApp(slot).config;
  const changed = changedFiles(shownFiles(engine, app, files, before), shownFiles(engine, app, files, basis));
  if (changed.length === 0) return undefined;
  // An app that is kept stopped has nobody who could hear a signal.
  const reload = state.hold === undefined && changed.every((file) => file.reload !== undefined);
  return { state, slot, basis, reload, current: { number, image, config: version, app: requireApp(slot) } };
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
