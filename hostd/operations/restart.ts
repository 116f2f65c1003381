import { type Digest, shortDigest } from "../../manifests/digest.ts";
import type { OperationKind } from "../../manifests/node.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { hostApp } from "../host/host.ts";
import { launchable } from "./context.ts";
import type { Plan } from "./plan.ts";

// Plans that lead from the current generation to itself, or to none: restart, stop, start, snapshot, remove.

type SamePlan = Plan & { switch: NonNullable<Plan["switch"]> };

/** Kinds that hold an app for nothing but its sickness, or because somebody stopped it: it may be started as it is. */
const STARTABLE: ReadonlySet<OperationKind> = new Set(["restart", "halt"]);

/** Events of an app that are looked through for what holds it. */
const LOOKED_AT = 1_000;

export function samePlan(engine: Engine, app: string): SamePlan {
  const { current } = engine.journal.apps.require(app);
  if (current === undefined) throw new HostdError("not-staged", `${app} runs nothing on this node`);
  const generation = engine.journal.generations.require(app, current);
  const { image, version, config } = generation;
  const hold = engine.journal.apps.get(app)?.hold;
  return {
    switch: {
      image: image as Digest,
      version,
      config,
      from: current,
      to: current,
      kept: `kept-g${current}`,
      ...(hold === undefined ? {} : { hold }),
    },
  };
}

/** Refuses what does not run by itself, or not now. */
export function restartPlan(engine: Engine, app: string): SamePlan {
  refuseOther(engine, app, "restart");
  refuseHeld(engine, app);
  return samePlan(engine, app);
}

export function haltPlan(engine: Engine, app: string, cause: string): Plan {
  refuseOther(engine, app, "stop");
  return { ...samePlan(engine, app), cause };
}

/** Refuses what hostd holds since its data or its record is not what any version expects. */
export function startPlan(engine: Engine, app: string): Plan {
  if (!isStartable(engine, app)) refuseHeld(engine, app);
  return samePlan(engine, app);
}

export function removePlan(engine: Engine, app: string, wipe: boolean): Plan {
  engine.journal.apps.require(app);
  if (hostApp(engine) !== app) return { wipe };
  throw new HostdError("bad-request", `${app} is the host: expected an app`, {
    hint: "hostd reset takes the whole node back to empty",
  });
}

/** The image of what is not kept stopped; undefined for what is. Refuses what does not run by itself. */
export function imageThatRuns(engine: Engine, app: string): Digest | undefined {
  refuseOther(engine, app, "start");
  const { current, hold } = engine.journal.apps.require(app);
  if (current === undefined || hold !== undefined) return undefined;
  return engine.journal.generations.require(app, current).image as Digest;
}

function refuseOther(engine: Engine, app: string, what: "restart" | "stop" | "start"): void {
  const { current } = engine.journal.apps.require(app);
  const host = hostApp(engine) === app;
  if (!host && (current === undefined || launchable(engine, app, current).app.job === undefined)) return;
  const hints = {
    restart: ["systemctl reboot starts it again", `hostd run ${app} runs it once more`],
    stop: ["systemctl poweroff stops it", "hostd abort ends a run that is under way"],
    start: ["it runs", `hostd run ${app} runs it once more`],
  };
  throw new HostdError("bad-request", `${app} is ${host ? "the host" : "a job"}: expected a service`, {
    hint: hints[what][host ? 0 : 1],
  });
}

/** Refuses what would leave an app that is kept stopped as it is. */
export function refuseHeld(engine: Engine, app: string): void {
  const { current, hold } = engine.journal.apps.require(app);
  if (hold === undefined) return;
  const image = current === undefined ? "" : ` ${shortDigest(engine.journal.generations.require(app, current).image)}`;
  const hint = isStartable(engine, app) ? `hostd start ${app}` : `hostd activate ${app}${image}`;
  throw new HostdError("held", `${app} is kept stopped: ${hold}`, { hint: `${hint} ends that` });
}

function isStartable({ journal }: Engine, app: string): boolean {
  const held = journal.events.list({ app, limit: LOOKED_AT }).findLast(({ kind }) => kind === "app.held");
  const by = held?.operation === undefined ? undefined : journal.operations.get(held.operation);
  return by !== undefined && STARTABLE.has(by.kind);
}
