import { readFileSync } from "node:fs";
import { hasErrno } from "../../effects/errno.ts";
import type { Launcher } from "./launcher.ts";
import type { Running } from "./node.ts";
import { parseStat } from "./proc.ts";

/** An answer, and when each living process in it began: as long as those are the same, so is the answer. */
interface Answer {
  running: readonly Running[];
  starts: readonly (number | undefined)[];
}

/**
 * A launcher that asks for an app's processes again only where one of them may have changed: hostd itself started or
 * stopped something, or a process is gone. Checks come every second and must not wake a holder to hear the same.
 */
export function rememberRunning(launcher: Launcher): Launcher {
  const known = new Map<string, Answer>();
  const asking = new Map<string, object>();

  function forget(app: string): void {
    known.delete(app);
    asking.delete(app);
  }

  async function changing<T>(app: string, work: () => Promise<T>): Promise<T> {
    forget(app);
    try {
      return await work();
    } finally {
      forget(app); // who asked meanwhile may have been told either
    }
  }

  return {
    ...launcher,
    start: (spec) => changing(spec.app, () => launcher.start(spec)),
    stop: (app, generation, timeoutMs) => changing(app, () => launcher.stop(app, generation, timeoutMs)),
    removeHolder: (app) => changing(app, () => launcher.removeHolder(app)),
    async running(app) {
      const before = known.get(app);
      if (before !== undefined && isSame(before)) return [...before.running];
      const mine = {};
      asking.set(app, mine);
      const running = await launcher.running(app);
      const answer = { running, starts: running.map(startOf) };
      if (asking.get(app) === mine && isSame(answer)) known.set(app, answer);
      return [...running];
    },
  };
}

function isSame({ running, starts }: Answer): boolean {
  return running.every(
    (one, index) => one.exited !== undefined || (starts[index] !== undefined && starts[index] === startOf(one)),
  );
}

/** Read at once: /proc answers from memory, and a thread that reads it would wake this process twice. */
function startOf({ pid, exited }: Running): number | undefined {
  if (exited !== undefined || pid === 0) return undefined;
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"))?.start;
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
}
