/**
 * The journal's schema, one entry per version; `user_version` says how many were applied. Entries are never edited.
 *
 * After a revert an older hostd opens what a newer one migrated, so an entry only adds: tables, indexes, columns that may
 * be NULL or have a default. A kind, state or step that older hostds do not know is read by one release and written from
 * the next one on. Whatever cannot be had that way raises READABLE_FROM, and with it ends the way back.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE apps (
    app TEXT PRIMARY KEY,
    current INTEGER,
    previous INTEGER,
    target TEXT,
    floor INTEGER NOT NULL DEFAULT 0,
    floor_image TEXT,
    hold TEXT,
    data_version TEXT,
    data_format INTEGER
  ) STRICT;

  CREATE TABLE slots (
    app TEXT NOT NULL, image TEXT NOT NULL, sequence INTEGER NOT NULL, version TEXT NOT NULL, channel TEXT NOT NULL,
    state TEXT NOT NULL, pinned TEXT, declared TEXT NOT NULL, manifest TEXT NOT NULL, config TEXT NOT NULL,
    staged_at TEXT NOT NULL, staged_order INTEGER NOT NULL, last_good_at TEXT,
    PRIMARY KEY (app, image)
  ) STRICT;

  CREATE TABLE configs (
    app TEXT NOT NULL, version INTEGER NOT NULL, declared TEXT NOT NULL, PRIMARY KEY (app, version)
  ) STRICT;

  CREATE TABLE generations (
    app TEXT NOT NULL, number INTEGER NOT NULL, image TEXT NOT NULL, version TEXT NOT NULL, config INTEGER NOT NULL,
    data_version TEXT, data_format INTEGER, state TEXT NOT NULL, operation INTEGER NOT NULL, since TEXT NOT NULL,
    PRIMARY KEY (app, number)
  ) STRICT;

  CREATE TABLE operations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, app TEXT NOT NULL,
    caller TEXT NOT NULL, state TEXT NOT NULL, plan TEXT NOT NULL, reason TEXT, notes TEXT NOT NULL DEFAULT '[]',
    reverted INTEGER NOT NULL DEFAULT 0, afterwards TEXT, transitions INTEGER NOT NULL DEFAULT 0,
    started_at TEXT NOT NULL, finished_at TEXT
  ) STRICT;
  CREATE INDEX operations_app ON operations (app, id);
  CREATE INDEX operations_state ON operations (state);

  CREATE TABLE steps (
    operation INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL,
    started_at TEXT, done_at TEXT, undone_at TEXT, detail TEXT,
    PRIMARY KEY (operation, position)
  ) STRICT;

  CREATE TABLE locks (
    app TEXT NOT NULL, name TEXT NOT NULL, operation INTEGER NOT NULL, PRIMARY KEY (app, name)
  ) STRICT;

  CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, app TEXT NOT NULL, image TEXT NOT NULL, reason TEXT NOT NULL,
    operation INTEGER, since TEXT NOT NULL, lifted_at TEXT, lifted_by TEXT
  ) STRICT;

  CREATE TABLE snapshots (
    id TEXT PRIMARY KEY, app TEXT NOT NULL, format INTEGER NOT NULL, operation INTEGER NOT NULL, generation INTEGER,
    reason TEXT NOT NULL, taken_at TEXT NOT NULL, taken_order INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE events (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, app TEXT, operation INTEGER, detail TEXT NOT NULL,
    previous TEXT NOT NULL, hash TEXT NOT NULL
  ) STRICT;
  CREATE TRIGGER events_keep_rows BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
  CREATE TRIGGER events_keep_text BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
  `,
  // Snapshots of two apps may have one name.
  `
  CREATE TABLE named_snapshots (
    app TEXT NOT NULL, id TEXT NOT NULL, format INTEGER NOT NULL, operation INTEGER NOT NULL, generation INTEGER,
    reason TEXT NOT NULL, taken_at TEXT NOT NULL, taken_order INTEGER NOT NULL,
    consistency TEXT NOT NULL DEFAULT 'stopped', expires_at TEXT, digest TEXT, leaving INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (app, id)
  ) STRICT;
  INSERT INTO named_snapshots (app, id, format, operation, generation, reason, taken_at, taken_order)
    SELECT app, id, format, operation, generation, reason, taken_at, taken_order FROM snapshots;
  DROP TABLE snapshots;
  ALTER TABLE named_snapshots RENAME TO snapshots;
  `,
  `
  CREATE TABLE config_changes (
    revision INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT NULL, file TEXT, text TEXT, tree TEXT,
    digest TEXT, caller TEXT NOT NULL, at TEXT NOT NULL
  ) STRICT;
  CREATE INDEX config_changes_subject ON config_changes (kind, subject, revision);
  CREATE TRIGGER config_keep_rows BEFORE DELETE ON config_changes BEGIN SELECT RAISE(ABORT, 'config is append-only'); END;
  CREATE TRIGGER config_keep_text BEFORE UPDATE ON config_changes BEGIN SELECT RAISE(ABORT, 'config is append-only'); END;
  ALTER TABLE configs ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE generations ADD COLUMN process INTEGER;
  `,
  `CREATE TABLE seal (id INTEGER PRIMARY KEY, changes INTEGER NOT NULL, event INTEGER NOT NULL, sum TEXT NOT NULL, own TEXT NOT NULL) STRICT`,
  "CREATE INDEX generations_image ON generations (app, image, state, number)",
  `CREATE TABLE update_holds (
    id INTEGER PRIMARY KEY AUTOINCREMENT, app TEXT NOT NULL, reason TEXT NOT NULL, until TEXT, caller TEXT NOT NULL,
    since TEXT NOT NULL, lifted_at TEXT, lifted_by TEXT
  ) STRICT`,
];

/** The lowest schema version of a hostd that can work with a journal of this one; kept in `application_id`. */
export const READABLE_FROM = 1;
