import { forget } from "../data/forget.ts";
import { goOn, quiet } from "../data/quiet.ts";
import { room } from "../data/room.ts";
import { adopt } from "../host/adopt.ts";
import { checks, declare, declareOld, drift } from "../host/configure.ts";
import { confirm, gates } from "../host/gates.ts";
import { bringRecovery } from "../host/recovery.ts";
import * as host from "../host/steps.ts";
import * as removal from "../retention/remove.ts";
import { pruneApp } from "../retention/step.ts";
import * as stage from "../stage/steps.ts";
import type { StepName } from "../states.ts";
import { forgetSnapshot, restoreAsked, takeDataBack, takeSnapshot } from "../switch/data.ts";
import { reload, reloadOld } from "../switch/reload.ts";
import * as restart from "../switch/restart.ts";
import * as change from "../switch/steps.ts";
import type { Context } from "./context.ts";

/** What does a step and what undoes it. What `run` answers is written into the journal as the step's detail. */
export interface Executor {
  run(context: Context): Promise<unknown>;
  undo?(context: Context): Promise<void>;
}

/** The one table from steps to code; hostd/states.ts says what each is for, and a test holds that the two agree. */
export const EXECUTORS: Readonly<Record<StepName, Executor>> = {
  trust: { run: stage.trust },
  space: { run: stage.space },
  fetch: { run: stage.fetch },
  lay: { run: stage.lay },
  sync: { run: stage.sync },
  record: { run: stage.record },
  prune: { run: pruneApp },
  plan: { run: change.plan },
  mount: { run: change.mount, undo: change.endTrial },
  beside: { run: change.beside, undo: change.stopBeside },
  prove: { run: change.prove },
  room: { run: room },
  quiet: { run: quiet, undo: goOn },
  drain: { run: change.drain },
  stop: { run: change.stop, undo: change.startOld },
  snapshot: { run: takeSnapshot, undo: forgetSnapshot },
  migrate: { run: change.migrate, undo: takeDataBack },
  restore: { run: restoreAsked, undo: takeDataBack },
  config: { run: change.config },
  flip: { run: change.flip, undo: async (context) => change.pointBack(context) },
  signal: { run: reload, undo: reloadOld },
  start: { run: change.start, undo: change.stopNew },
  judge: { run: change.judge },
  ready: { run: change.ready },
  commit: { run: change.commit },
  sound: { run: restart.sound },
  bounce: { run: restart.bounce, undo: restart.endBounce },
  halt: { run: restart.halt },
  removable: { run: removal.removable },
  vacate: { run: removal.vacate },
  wipe: { run: removal.wipe },
  clear: { run: removal.clear },
  again: { run: goOn },
  forget: { run: forget },
  target: { run: host.target },
  install: { run: host.install, undo: host.uninstall },
  arm: { run: host.arm, undo: host.disarm },
  reboot: { run: host.reboot, undo: host.rebootBack },
  gates: { run: gates },
  confirm: { run: confirm },
  bless: { run: host.bless, undo: host.unbless },
  drift: { run: drift },
  declare: { run: declare, undo: declareOld },
  checks: { run: checks },
  recovery: { run: bringRecovery },
  adopt: { run: adopt },
};
