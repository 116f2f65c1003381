import { type Apps, openApps } from "./apps.ts";
import { type ConfigLog, openConfigLog } from "./config.ts";
import { copyJournal } from "./copy.ts";
import { openDatabase } from "./database.ts";
import { type Events, openEvents } from "./events.ts";
import { type Generations, openGenerations } from "./generations.ts";
import { type Operations, openOperations } from "./operations.ts";
import { openQuarantine, type Quarantine } from "./quarantine.ts";
import { openSlots, type Slots } from "./slots.ts";
import { openSnapshots, type Snapshots } from "./snapshots.ts";
import { openTally, type Tally } from "./tally.ts";
import { openUpdateHolds, type UpdateHolds } from "./update-holds.ts";

/**
 * The one owner of hostd's state. Invariants, held by its methods and tested over every pair of state and action:
 * - every change of an app is made by an operation that holds the app's lock;
 * - a state changes only as the tables of hostd/states.ts allow; anything else throws and changes nothing;
 * - an operation has exactly one terminal record, and holds no lock after it;
 * - layers and secrets are only ever followed by newer ones: a generation names the revision that it was made from;
 * - events are only ever appended, each naming the hash of the one before.
 */
export interface Journal {
  readonly apps: Apps;
  readonly slots: Slots;
  readonly generations: Generations;
  readonly operations: Operations;
  readonly config: ConfigLog;
  readonly quarantine: Quarantine;
  readonly updateHolds: UpdateHolds;
  readonly snapshots: Snapshots;
  readonly events: Events;
  readonly tally: Tally;
  /** Several changes as one: all of them are on disk when it returns, or none. */
  transaction<T>(work: () => T): T;
  /** As above, on disk with the next change that is: for what a power cut may take as long as it takes what follows too. */
  later<T>(work: () => T): T;
  /** Reads its files whole; answers what is wrong with them: nothing is written from then on. Throws what hinders the look. */
  findDamage(): string | undefined;
  readonly path: string;
  /** Transactions so far that changed anything. */
  changes(): number;
  /** Brings the copy that is kept beside it up to date, where it is not; the old one stays while an operation is under way. */
  copy(): Promise<void>;
  close(): void;
}

/**
 * Opens the journal of a state directory; refuses one that another process holds, a newer hostd wrote, or that is
 * damaged. `onChange` is called after each change, `onHindrance` where it could not be verified before it was opened.
 */
export function openJournal(
  path: string,
  date: () => Date,
  onChange?: () => void,
  onHindrance?: (error: unknown) => void,
): Journal {
  const database = openDatabase(path, onChange, onHindrance);
  let copied: number | undefined;
  let copying: Promise<void> = Promise.resolve();
  const events = openEvents(database, date);
  const operations = openOperations(database, events, date);

  async function copy(): Promise<void> {
    if (copied === database.changes() || operations.unfinished().length > 0) return;
    copied = (await copyJournal(database, path)) ?? copied;
  }

  return {
    events,
    operations,
    apps: openApps(database, events, operations),
    slots: openSlots(database, events, operations, date),
    generations: openGenerations(database, operations, date),
    config: openConfigLog(database, events, date),
    quarantine: openQuarantine(database, events, date),
    updateHolds: openUpdateHolds(database, events, date),
    snapshots: openSnapshots(database, events, operations, date),
    tally: openTally(database),
    transaction: (work) => database.transaction(work),
    later: (work) => database.later(work),
    path,
    changes: database.changes,
    findDamage: () => database.findDamage(),
    copy() {
      copying = copying.then(copy, copy); // one after the other: they write the same file
      return copying;
    },
    close: () => database.close(),
  };
}
