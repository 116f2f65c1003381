import { type App, type Health, portOf } from "../../manifests/app.ts";
import type { Engine } from "../engine.ts";
import { launchable } from "../operations/context.ts";
import { processNumber, processOf } from "../switch/process.ts";
import type { Exit } from "../system/node.ts";
import type { Verdict } from "./decide.ts";
import { judge } from "./judge.ts";

/**
 * How a generation stands when it is judged. `fresh`: alone, with both windows. `beside`: another one accepts on the same
 * sockets, so checks of those go to its own probe. `proven`: it was judged beside, and must be good once more, alone.
 */
export type Standing = "fresh" | "beside" | "proven";

/** Judges the process of a generation with the checks its image declares, and shows the results on the board. */
export async function judgeGeneration(
  engine: Engine,
  input: { app: string; number: number; standing: Standing; signal: AbortSignal; report: (text: string) => void },
): Promise<Verdict> {
  const { app, number, standing } = input;
  const declared = launchable(engine, app, number).app;
  engine.board.clear(app);
  engine.board.setHealth(app, "judging");
  const verdict = await judge({
    checks: declared.health.map((check) => (standing === "proven" ? { ...check, stable: 0 } : check)),
    check: async (health) => {
      const probe = standing === "beside" ? probeOf(declared, health) : undefined;
      const generation = await processNumber(engine, app, number);
      return engine.node.check(health, { app, generation, ...(probe === undefined ? {} : { probe }) });
    },
    exited: () => exitOf(engine, app, number),
    clock: engine.clock,
    signal: input.signal,
    onSample: (check, { ok, detail, took }) =>
      engine.board.setCheck(app, { check, ok, detail, took, at: engine.clock.date().toISOString() }),
    onPending: input.report,
  });
  engine.board.setHealth(
    app,
    verdict.state === "healthy" ? "healthy" : verdict.state === "failed" ? "unhealthy" : "unknown",
  );
  return verdict;
}

/** Where a check of a shared port is asked instead; the recipe was refused if it had to be and there is no probe. */
function probeOf({ listen, switch: rule }: Pick<App, "listen" | "switch">, health: Health): string | undefined {
  const port = portOf(health);
  return listen.some((socket) => socket.port === port) ? rule?.probe : undefined;
}

/** How the newest process of a generation ended; undefined while it lives. One that was never started has no exit. */
async function exitOf(engine: Engine, app: string, number: number): Promise<Exit | undefined> {
  return (await processOf(engine, app, number))?.exited;
}
