import { ProcessError, run } from "../../effects/process.ts";
import type { Progress } from "../../terminal/progress.ts";
import { FleetError } from "../error.ts";
import type { Session } from "../push/session.ts";
import type { Bundle } from "./bundle.ts";

/** What every step of an installation works with. */
export interface Installing {
  /** As ssh knows the machine; for messages. */
  destination: string;
  bundle: Bundle;
  progress: Progress;
  signal: AbortSignal;
}

export const UNCHANGED = "nothing that runs was changed";

/** Runs a command on the machine; what it printed. */
export async function on(session: Session, { signal }: Installing, command: readonly string[], input?: string) {
  const ended = await run(session.command(command), { signal, ...(input === undefined ? {} : { input }) });
  return ended.stdout;
}

/** In the words of what failed there, not of the command that was sent. `goesOn`: what is so where the connection ended. */
export function failed(
  { destination, bundle }: Installing,
  what: string,
  cause: unknown,
  hint: string,
  goesOn: string = UNCHANGED,
): unknown {
  if (!(cause instanceof ProcessError)) return cause;
  const isLost = cause.exitCode === 255;
  const said = cause.output.trim().replace(/^error: /, "");
  const message = `${destination}: hostd ${bundle.id}: ${isLost ? "the connection ended" : what}`;
  return new FleetError("install-failed", said === "" ? message : `${message}\n${said}`, {
    cause,
    hint: isLost ? goesOn : hint,
  });
}

/** Shows a piece of work as it goes. */
export async function told(options: Installing, text: string, work: () => Promise<void>): Promise<void> {
  const started = Date.now();
  const event = { id: `install ${text}`, text: `${options.destination}: ${text}` };
  options.progress({ ...event, state: "started" });
  try {
    await work();
  } catch (error) {
    options.progress({ ...event, state: "failed" });
    throw error;
  }
  options.progress({ ...event, state: "done", took: Date.now() - started });
}
