import { readFileSync } from "node:fs";
import { hasErrno } from "../../effects/errno.ts";
import type { HolderRecord, Process } from "./holder-protocol.ts";
import type { Launcher } from "./launcher.ts";
import { parseStat } from "./proc.ts";
import { toRunning } from "./records.ts";

/** A launcher that answers with records: only they say which process a pid stood for. */
export type RecordingLauncher = Omit<Launcher, "running"> & { running(app: string): Promise<HolderRecord[]> };

/**
 * A launcher that asks for an app's processes again only where one of them may have changed: hostd itself started or
 * stopped something, or a process is gone. Checks come every second and must not wake a holder to hear the same.
 */
export function rememberRunning(launcher: RecordingLauncher): Launcher {
  const known = new Map<string, readonly HolderRecord[]>();
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
      if (before?.every(isStillTrue)) return before.map(toRunning);
      const mine = {};
      asking.set(app, mine);
      const records = await launcher.running(app);
      if (asking.get(app) === mine && records.every(isStillTrue)) known.set(app, records);
      return records.map(toRunning);
    },
  };
}

/** A process that has ended stays so; one that lives must be the very one of the record. */
function isStillTrue({ exited, app }: HolderRecord): boolean {
  return exited !== undefined || (app.pid !== 0 && startOf(app) === app.start);
}

/** Read at once: /proc answers from memory, and a thread that reads it would wake this process twice. */
function startOf({ pid }: Process): number | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"))?.start;
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
}
