import { type Digest, shortDigest } from "../../manifests/digest.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { hostApp } from "../host/host.ts";
import { launchable } from "./context.ts";
import type { Plan } from "./plan.ts";

// Plans that lead from the current generation to itself, or to none: restart, stop, start, snapshot, remove.

type SamePlan = Plan & { switch: NonNullable<Plan["switch"]> };

/** Why an app is held whose undo was given up; isStartable knows it again. */
export function givenUp(operation: number, why: string): string {
  return `operation ${operation} could not be taken back: ${why}`;
}

export function samePlan(engine: Engine, app: string): SamePlan {
  const { current } = engine.journal.apps.require(app);
  if (current === undefined) {
    throw new HostdError("not-staged", `${app} runs nothing on this node`, { hint: `hostd activate ${app}` });
  }
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

/** Refuses what is held for a reason that must not be forgotten. */
export function haltPlan(engine: Engine, app: string, cause: string): Plan {
  refuseOther(engine, app, "stop");
  if (!isStartable(engine, app)) refuseHeld(engine, app);
  return { ...samePlan(engine, app), cause };
}

/** Of what runs it finds nothing to do; refuses what an undo left half done. */
export function startPlan(engine: Engine, app: string): Plan {
  refuseOther(engine, app, "start");
  if (!isStartable(engine, app)) refuseHeld(engine, app);
  return { ...samePlan(engine, app), unlessRunning: true };
}

export function removePlan(engine: Engine, app: string, wipe: boolean): Plan {
  engine.journal.apps.require(app);
  if (hostApp(engine) !== app) return { wipe };
  throw new HostdError("bad-request", `${app} is the host: expected an app`, {
    hint: "hostd reset takes the whole node back to empty",
  });
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

/** Nothing is started as it is on data that an undo left half done. */
function isStartable({ journal }: Engine, app: string): boolean {
  return !/^operation \d+ could not be taken back: /.test(journal.apps.get(app)?.hold ?? "");
}
