import { type App, portOf } from "../../manifests/app.ts";
import type { Clock } from "../clock.ts";
import { type Address, canConnect } from "../system/connect.ts";

/** Milliseconds between two connections: no gap can be told more exactly. */
const INTERVAL = 5;
const CONNECT_TIMEOUT = 1_000;

/** One connection: when it was tried and whether it was taken. Milliseconds of one clock. */
export interface Knock {
  at: number;
  taken: boolean;
}

/** Knocks at an app's door from outside while it is stopped and started. */
export interface GapMeter {
  /** Ends it; milliseconds from the last connection taken before the gap to the first one after it, 0 where none was refused. */
  end(): Promise<number | undefined>;
}

/**
 * Where an app that binds its port itself is reached, by the first check that names a port. Undefined for one with
 * LISTEN, whose sockets stay open, and for one that no check reaches.
 */
export function doorOf({ listen, health }: Pick<App, "listen" | "health">): Address | undefined {
  const check = health.find((one) => portOf(one) !== undefined);
  const port = check === undefined ? undefined : portOf(check);
  if (listen.length > 0 || check === undefined || port === undefined) return undefined;
  if (check.kind === "tcp") return { host: check.host, port };
  return check.kind === "http" ? { host: new URL(check.url).hostname.replace(/^\[|\]$/g, ""), port } : undefined;
}

/** Begins to measure once it has knocked for the first time; stops by itself when the gap is over. */
export async function openGapMeter(door: Address, clock: Clock, signal: AbortSignal): Promise<GapMeter> {
  const knocks: Knock[] = [];
  const knock = async () => {
    const at = clock.now();
    keep(knocks, { at, taken: await canConnect(door, CONNECT_TIMEOUT) });
  };
  let ending = false;
  await knock();
  const done = (async () => {
    while (!ending && !signal.aborted && !isOver(knocks)) {
      await clock.sleep(INTERVAL, signal);
      await knock();
    }
  })();
  return {
    async end() {
      ending = true;
      await done;
      return gapOf(knocks);
    },
  };
}

function isOver(knocks: readonly Knock[]): boolean {
  return knocks.at(-1)?.taken === true && knocks.some(({ taken }) => !taken);
}

/** Only the last of equals matters, and the first after a change: a long trial keeps few. */
function keep(knocks: Knock[], knock: Knock): void {
  const [before, last] = knocks.slice(-2);
  if (before?.taken === knock.taken && last?.taken === knock.taken) knocks.pop();
  knocks.push(knock);
}

/** The longest time without a taken connection, from one that was taken to the next; undefined where it has no end. */
export function gapOf(knocks: readonly Knock[]): number | undefined {
  let [longest, before]: [number, number | undefined] = [0, undefined];
  let refused = false;
  for (const { at, taken } of knocks) {
    if (taken && refused && before !== undefined) longest = Math.max(longest, at - before);
    if (taken) before = at;
    refused = !taken;
  }
  return refused || before === undefined ? undefined : Math.round(longest);
}
