import type { EventKind } from "../manifests/event.ts";
import { toFailureDocument } from "../manifests/failure.ts";
import type { Engine } from "./engine.ts";
import { HostdError } from "./error.ts";
import type { EventAbout } from "./journal/events.ts";

/**
 * Records what only tells and decides nothing. A disk that takes no more must not keep apps down or hostd from ending:
 * then the log alone has it. `later`: it need not be on the disk before something else is. Throws HostdError where the
 * journal is damaged.
 */
export function tell(
  { journal, log }: Pick<Engine, "journal" | "log">,
  kind: EventKind,
  about: EventAbout,
  { later = false } = {},
): void {
  const record = () => journal.events.append(kind, about);
  try {
    if (later) journal.later(record);
    else record();
  } catch (error) {
    if (error instanceof HostdError) throw error;
    log("warn", "event not recorded", { event: kind, ...about, ...toFailureDocument(error) });
  }
}
