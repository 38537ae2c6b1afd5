import type { Migration } from './migration.ts';

/**
 * Tasks that the worker carries, step by step.
 *
 * One row for each task that it ever took on: how far it came, over all its tries, and in which session.
 * A task at which models fail has its own next time. The hold says until when it asks no model whatever the
 * task, and why, and when one answered last; the settings are the owner's, and what has no row is as it
 * usually is.
 */
export const worker: Migration = {
  version: 17,
  name: 'worker',
  sql: `
    CREATE TABLE substrate_worker_runs (
      task            TEXT PRIMARY KEY,
      session         TEXT NOT NULL,
      state           TEXT NOT NULL CHECK (state IN ('working', 'waiting', 'handed_in', 'gave_up', 'spent', 'lost')),
      why             TEXT NOT NULL,
      steps           INTEGER NOT NULL,
      worked_ms       INTEGER NOT NULL,
      spent_micro_usd INTEGER NOT NULL,
      events          INTEGER NOT NULL,
      failures        INTEGER NOT NULL,
      next_at         INTEGER,
      changed_at      INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX substrate_worker_runs_open ON substrate_worker_runs (changed_at) WHERE state IN ('working', 'waiting');

    CREATE TABLE substrate_worker_hold (
      id          INTEGER PRIMARY KEY CHECK (id = 1),
      until       INTEGER NOT NULL,
      why         TEXT NOT NULL,
      failures    INTEGER NOT NULL,
      answered_at INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE substrate_worker_settings (
      name  TEXT PRIMARY KEY,
      value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
  `,
};
