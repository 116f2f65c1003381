import type { Engine } from "../engine.ts";
import { launchable } from "../operations/context.ts";
import type { Exit } from "../system/node.ts";
import type { Verdict } from "./decide.ts";
import { judge } from "./judge.ts";

/** Judges the process of a generation with the checks its image declares, and shows the results on the board. */
export async function judgeGeneration(
  engine: Engine,
  input: { app: string; number: number; signal: AbortSignal; report: (text: string) => void },
): Promise<Verdict> {
  const { app, number } = input;
  engine.board.clear(app);
  engine.board.setHealth(app, "judging");
  const verdict = await judge({
    checks: launchable(engine, app, number).app.health,
    check: (health) => engine.node.check(health, { app, generation: number }),
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

/** How the newest process of a generation ended; undefined while it lives. One that was never started has no exit. */
async function exitOf(engine: Engine, app: string, number: number): Promise<Exit | undefined> {
  const all = await engine.node.running(app);
  return all.findLast(({ generation }) => generation === number)?.exited;
}
