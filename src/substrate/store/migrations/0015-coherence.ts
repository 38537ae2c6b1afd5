import type { Migration } from './migration.ts';

/**
 * How the work of each subsystem goes: what probes saw of work outside the seed, how far coherence may go
 * for each subsystem, its alarms, and what was found over time.
 *
 * The number of an alarm is never given again: receipts and labels name it after it is gone.
 * A subsystem of tasks alone has a row only once its stage was changed. Of one kind there is one open alarm.
 * The index on what happened to tasks tells what is new without reading the tasks.
 */
export const coherence: Migration = {
  version: 15,
  name: 'coherence',
  sql: `
    CREATE TABLE substrate_subsystems (
      name        TEXT PRIMARY KEY,
      kind        TEXT NOT NULL CHECK (kind IN ('tasks', 'probe')),
      finished    INTEGER NOT NULL CHECK (finished IN (0, 1)),
      stage       TEXT NOT NULL CHECK (stage IN ('observe', 'shadow', 'advise', 'govern')),
      stage_at    INTEGER NOT NULL,
      evidence_at INTEGER NOT NULL,
      receipt     INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_completions (
      n         INTEGER PRIMARY KEY,
      subsystem TEXT NOT NULL,
      at        INTEGER NOT NULL,
      source    TEXT NOT NULL,
      UNIQUE (subsystem, at)
    ) STRICT;

    CREATE TABLE substrate_alarms (
      n           INTEGER PRIMARY KEY AUTOINCREMENT,
      subsystem   TEXT NOT NULL,
      kind        TEXT NOT NULL CHECK (kind IN ('stall', 'failing', 'success', 'cycle')),
      stage       TEXT NOT NULL CHECK (stage IN ('observe', 'shadow', 'advise', 'govern')),
      provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
      since       INTEGER NOT NULL,
      reason      TEXT NOT NULL,
      act         TEXT,
      raised_at   INTEGER NOT NULL,
      cleared_at  INTEGER,
      label       TEXT CHECK (label IN ('right', 'wrong')),
      labelled_at INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX substrate_alarms_open ON substrate_alarms (subsystem, kind) WHERE cleared_at IS NULL;
    CREATE INDEX substrate_alarms_subsystem ON substrate_alarms (subsystem, n);

    CREATE TABLE substrate_coherence_history (
      subsystem   TEXT NOT NULL,
      at          INTEGER NOT NULL,
      kind        TEXT NOT NULL CHECK (kind IN ('change', 'day')),
      status      TEXT NOT NULL CHECK (status IN ('healthy', 'stalled', 'drifting', 'unknown')),
      provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
      reason      TEXT NOT NULL,
      scores      TEXT NOT NULL,
      PRIMARY KEY (subsystem, at, kind)
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX substrate_task_events_receipt ON substrate_task_events (receipt);
  `,
};
