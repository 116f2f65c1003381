import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openSource } from "../../effects/source.ts";
import { systemClock } from "../../hostd/clock.ts";
import { type Engine, type Examine, openEngine } from "../../hostd/engine.ts";
import { recover } from "../../hostd/recover/recover.ts";
import { openNode } from "../../hostd/system/node.ts";
import type { Rig } from "./rig.ts";

export const DAY = 86_400_000;

export interface InProcess {
  engine: Engine;
  /** Puts the wall clock so many milliseconds ahead. */
  setClock(shift: number): void;
}

/** The engine of a rig's node in this very process, which looks after nothing by itself, with a wall clock that can be set. */
export async function withEngine(
  rig: Rig,
  use: (node: InProcess) => Promise<void>,
  options: { repository?: string; examine?: Examine } = {},
): Promise<void> {
  let shift = 0;
  await mkdir(join(rig.state, "trust"), { recursive: true }); // as the start of a hostd does
  const engine = await openEngine({
    stateDirectory: rig.state,
    openNode: () => openNode({ stateDirectory: rig.state, runDirectory: rig.run }),
    source: openSource(options.repository ?? rig.publisher.directory),
    examine: options.examine ?? (() => Promise.reject(new Error("nothing is staged here"))),
    mayReturn: () => Promise.reject(new Error("nothing is staged here")),
    clock: { ...systemClock, date: () => new Date(Date.now() + shift) },
    log: () => {},
    host: undefined,
    settings: {
      channel: "production",
      keep: 3,
      reserve: 0,
      snapshots: { count: 12, bytes: undefined, ttl: 14 * DAY },
      onSick: "restart",
      care: { every: 3_600_000, scrubEvery: 3_600_000 },
      checks: { directories: [], timeout: 1_000 },
    },
  });
  engine.care.begin = () => {};
  try {
    await recover(engine);
    await use({
      engine,
      setClock(to) {
        shift = to;
      },
    });
  } finally {
    await engine.close();
  }
}
