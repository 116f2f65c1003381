import type { Engine } from "../engine.ts";
import type { Leftover } from "../system/node.ts";
import { tell } from "../tell.ts";

/** Tells, once, what of the data could not be removed; each look tries again and lists it until it is gone (care/care.ts). */
export function tellLeftovers(engine: Pick<Engine, "journal" | "log">, left: readonly Leftover[]): void {
  for (const { app, place, why } of left) {
    tell(engine, "leftover.stays", { app, detail: { what: place, why: why.message } });
    engine.log("error", "leftover not removed", { app, what: place, ...why });
  }
}

/** In one line: of what a program said, the last one tells why. */
export function describeLeftover({ place, why }: Leftover): string {
  return `${place}: not live any more, but not removed: ${why.message.split("\n").at(-1)}`;
}
