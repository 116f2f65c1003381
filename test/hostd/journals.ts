import { type Journal, openJournal } from "../../hostd/journal/journal.ts";
import type { OperationRow } from "../../hostd/journal/operations.ts";
import type { Digest } from "../../manifests/digest.ts";

// Journals without a hostd, with something of everything in them.

const image: Digest = `sha256:${"a".repeat(64)}`;
const clock = () => new Date("2026-11-27T08:00:00Z");

export function journalAt(path: string): Journal {
  return openJournal(path, clock);
}

/** Begins an operation; `name` tells it from others. */
export function beginOne(journal: Journal, name: string): OperationRow {
  return journal.operations.begin({ requestId: name, kind: "activate", app: "shop", caller: "me", plan: { image } });
}

/** Opens a journal and has so many operations begun and ended in it. */
export function fillJournal(path: string, operations: number): Journal {
  const journal = journalAt(path);
  for (let number = 0; number < operations; number++) {
    const { id } = beginOne(journal, `${operations}-${number}`);
    journal.operations.lock(id, "switch");
    journal.apps.setTarget(id, "shop", { image, version: `${number}.0.0`, sequence: number });
    journal.operations.mark(id, 0, "started");
    if (number % 3 === 0) journal.quarantine.add(id, "shop", image, "it was sick");
    journal.operations.finish(id);
    journal.config.setLayer({
      layer: "site",
      file: "site.yaml",
      text: `a: ${number}`,
      tree: { line: 1, leaf: number },
      by: "me",
    });
  }
  return journal;
}
