import { randomUUID } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isPassing, OPERATIONS, type StepName, stepRule } from "../../hostd/states.ts";
import type { ConfigFile } from "../../manifests/app.ts";
import type { Digest } from "../../manifests/digest.ts";
import type { OperationDocument, OperationKind } from "../../manifests/node.ts";
import { restartAndWait, versionOf } from "./crash.ts";
import { eventually, type Rig, unlessRefused, withRig } from "./rig.ts";
import { wrongJournal, wrongWith } from "./whole.ts";

/** Milliseconds for a test that strikes at every step of a kind, with a start or a reboot for each. */
export const LIMIT = 600_000;

/** What happens to the node at a step boundary. */
type Fault = "kill" | "full disk" | "read-only" | "I/O error" | "power cut" | "clock -1 y" | "clock +1 y";

/** Kinds that change what runs; staging never does. */
type SwitchKind = Extract<OperationKind, "activate" | "rollback" | "configure" | "reload">;

interface Case {
  kind: SwitchKind;
  step: StepName;
  moment: "before" | "after";
  fault: Fault;
}

/** What runs in the end: the generation from before, the one that was asked for, or either, as the history says. */
type End = "old" | "new" | "either";

/**
 * The last step that asks the disk for room; what comes after it writes to the journal alone, which has its own (fillLog).
 * A start lays down a config that the app has not had yet; a reload lays it where it is in memory.
 */
const LAST_TO_GROW: Partial<Record<SwitchKind, StepName>> = { activate: "migrate", configure: "start" };

/**
 * Milliseconds: within which a switch comes to its step that needs room, how long the disk stays full after that, how
 * long a dying one is suffered before the reboot.
 */
const GROWS_WITHIN = 20_000;
const FULL_FOR = 400;
const SUFFERED_FOR = 150;
const YEAR = 365 * 86_400_000;

/** Every step boundary of a kind: a step that is added is here by itself. */
function casesOf(kind: SwitchKind, fault: Fault): Case[] {
  const steps: readonly StepName[] = OPERATIONS[kind];
  return steps.flatMap((step) => (["before", "after"] as const).map((moment) => ({ kind, step, moment, fault })));
}

/**
 * The end that each case must have. What ends hostd leaves the journal at the step: its rule for a crash decides. A power
 * cut, or a disk that took no more writes before the reboot, may leave it at the last step that was on disk. A clock decides nothing. A full disk takes
 * the switch back as long as there is anything left to write but the journal.
 */
function endOf({ kind, step, moment, fault }: Case): End {
  switch (fault) {
    case "kill":
      return endAfter(step);
    case "power cut":
    case "read-only":
    case "I/O error":
      return endAfter(step) === endAfter(lastOnDisk(kind, step)) ? endAfter(step) : "either";
    case "clock -1 y":
    case "clock +1 y":
      return "new";
    case "full disk":
      return growsAfter(kind, step, moment) ? "old" : "new";
  }
}

function growsAfter(kind: SwitchKind, step: StepName, moment: Case["moment"]): boolean {
  const steps: readonly StepName[] = OPERATIONS[kind];
  const left = steps.slice(steps.indexOf(step) + (moment === "before" ? 0 : 1));
  return left.some((one) => one === LAST_TO_GROW[kind]);
}

function endAfter(step: StepName | undefined): End {
  return step === undefined || stepRule(step).afterCrash === "resume" ? "new" : "old";
}

/** The last step up to this one whose start is on disk before it does anything; before the first of them, none. */
function lastOnDisk(kind: SwitchKind, step: StepName): StepName | undefined {
  const steps: readonly StepName[] = OPERATIONS[kind];
  return steps.slice(0, steps.indexOf(step) + 1).findLast((one) => !isPassing(one));
}

function nameOf({ kind, step, moment, fault }: Case): string {
  return `${kind}.${step}.${moment}, ${fault}`;
}

/** Strikes a node of its own at every step boundary of a kind with one fault; answers what was wrong after any of them. */
export async function strikeEverywhere(kind: SwitchKind, fault: Fault, startFirst = false): Promise<string[]> {
  const wrong: string[] = [];
  await withRig(
    async (rig) => {
      await prepareNode(rig, startFirst, kind === "reload" ? [{ ...GREETING, reload: "SIGHUP" }] : [GREETING]);
      if (fault === "full disk") await fillLog(rig);
      const acknowledged: string[] = [];
      for (const one of casesOf(kind, fault)) wrong.push(...(await suffer(rig, one, acknowledged)));
      await rig.stop();
      wrong.push(...wrongJournal(rig));
    },
    { disk: "ext4" },
  );
  return wrong;
}

/** Bytes of the journal's log at which it begins anew in the same file, and more than any one commit takes. */
const LOG_ROUND = 1_000 * 4_120;
const LOG_SPARE = 40_000;

/**
 * Fills the journal's log once: from then on it is written from its beginning, in room that it has, as on a node that has
 * run for a while.
 */
async function fillLog(rig: Rig): Promise<void> {
  const log = join(rig.state, "hostd.db-wal");
  for (let number = 0; (await stat(log)).size < LOG_ROUND + LOG_SPARE; number++) {
    await rig.client.setLayer("global", "global.yaml", `unused: ${number}${"x".repeat(LOG_SPARE)}\n`);
  }
}

const GREETING: ConfigFile = { path: "/etc/shop/greeting", template: "{{ greeting }}" };

/** A node with two good versions, the app under test and records in its data. */
export async function prepareNode(rig: Rig, startFirst = false, config = [GREETING]): Promise<void> {
  await rig.start();
  for (const number of [1, 2]) {
    await rig.publish({ version: versionOf(rig, number), stable: 100, migrate: "good", startFirst, config });
    const ended = await rig.operate("deploy");
    if (ended.state !== "done") throw new Error(`expected version ${number} to run: ${ended.reason?.message}`);
  }
}

/** Runs one case and answers what is wrong afterwards; `acknowledged` gets the records that the app took. */
async function suffer(rig: Rig, one: Case, acknowledged: string[]): Promise<string[]> {
  const { current } = await rig.client.app("shop");
  acknowledged.push(`${await rig.record()} by ${await rig.get("/version")}`);
  const ended = await strike(rig, one);
  const wrong = await wrongWith(rig, acknowledged);
  const after = (await rig.client.app("shop")).current?.number;
  const end = ended.state === "done" ? "new" : "old";
  const said = end === "new" ? ended.to : current?.number;
  if (after !== said) wrong.push(`expected generation ${said} (${end}), got ${after}`);
  wrong.push(...(await wrongConfig(rig)));
  const told = `operation ${ended.id}, ${ended.kind} by ${ended.by}, is ${ended.state}: ${ended.reason?.message}`;
  if (![end, "either"].includes(endOf(one))) wrong.push(`expected the ${endOf(one)} version; ${told}`);
  return wrong.map((text) => `${nameOf(one)}: ${text}`);
}

/** What the app reads must be what the current generation's config says: the file, and what it was told of it. */
async function wrongConfig(rig: Rig): Promise<string[]> {
  const { current } = await rig.client.app("shop");
  const { values } = await rig.client.appConfig("shop");
  const { config } = await rig.client.app("shop");
  const [file, told] = [await rig.get("/etc/greeting"), await rig.get("/config")];
  const declared = values.find(({ path }) => path === "greeting")?.value;
  const isApplied = config?.drift.length === 0;
  return [
    ...(file === told ? [] : [`the app was told ${told}, its file says ${file}`]),
    ...(isApplied === (file === declared)
      ? []
      : [`config ${current?.config}: the file says ${file}, declared is ${declared}`]),
  ];
}

async function strike(rig: Rig, one: Case): Promise<OperationDocument> {
  const point = `${one.kind}.${one.step}.${one.moment}`;
  const shift = one.fault === "clock -1 y" ? -YEAR : one.fault === "clock +1 y" ? YEAR : 0;
  const action = one.fault === "kill" ? "kill" : shift === 0 ? "pause" : "clock";
  const target = await targetOf(rig);
  if (one.kind === "configure" || one.kind === "reload") await declareAnother(rig);
  rig.arm({ point, action, shift });
  const requestId = randomUUID();
  const begun = begin(rig, one.kind, { target, requestId }).catch(unlessRefused);
  switch (one.fault) {
    case "kill":
      await Promise.race([rig.ended(), begun.then(() => rig.ended())]);
      return await restartAndWait(rig, requestId);
    case "full disk": {
      await rig.reached();
      const free = rig.disk?.fill();
      rig.goOn();
      const struck = await begun;
      if (struck !== undefined && growsAfter(one.kind, one.step, one.moment)) await untilItFails(rig, struck);
      await delay(FULL_FOR);
      free?.();
      break;
    }
    case "read-only":
    case "I/O error":
    case "power cut":
      await rig.reached();
      if (one.fault === "read-only") rig.disk?.turnReadOnly();
      else if (one.fault === "I/O error") rig.disk?.breakDown();
      else rig.disk?.cutPower();
      rig.goOn();
      await delay(SUFFERED_FOR);
      await rig.reboot();
      await rig.disk?.repair();
      return await restartAndWait(rig, requestId);
    case "clock -1 y":
    case "clock +1 y":
      break;
  }
  const operation = await begun;
  if (operation === undefined) throw new Error(`${nameOf(one)}: expected an operation`);
  return await rig.client.wait(operation, () => {}, AbortSignal.timeout(40_000));
}

/** Waits for the step that finds no room, however slow the machine is; where hostd cannot tell of it, for a while. */
async function untilItFails(rig: Rig, { id }: OperationDocument): Promise<void> {
  const failing = eventually(
    () => rig.client.operation(id),
    ({ state }) => state !== "running",
    GROWS_WITHIN,
  ).catch(() => undefined); // the end of the case tells what went wrong
  await Promise.race([failing, delay(GROWS_WITHIN, undefined, { ref: false })]);
}

async function declareAnother(rig: Rig): Promise<void> {
  const { revision } = await rig.client.config();
  await rig.client.setLayer("site", "site.yaml", `greeting: hello ${revision + 1}\n`);
}

/** The good version that does not run; a rollback left it in quarantine. */
async function targetOf(rig: Rig): Promise<Digest> {
  const { current, slots } = await rig.client.app("shop");
  const other = slots.find(({ image }) => image !== current?.image)?.image;
  if (other === undefined) throw new Error("expected a second version on the node");
  const { quarantine } = await rig.client.status();
  if (quarantine.some(({ image }) => image === other)) await rig.client.release(other);
  return other;
}

/** From one good version to the other, or from one good config to another. */
async function begin(
  rig: Rig,
  kind: SwitchKind,
  { target, requestId }: { target: Digest; requestId: string },
): Promise<OperationDocument> {
  if (kind === "configure" || kind === "reload") return await rig.client.begin("shop", "configure", { requestId });
  const way = kind === "activate" ? { image: target } : { to: target };
  return await rig.client.begin("shop", kind, { ...way, requestId });
}
