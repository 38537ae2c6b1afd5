import type { Migration } from './migration.ts';

/**
 * What is due when, and work outside the seed that is looked at.
 *
 * An occurrence is one time of one schedule, and there is at most one of it. The index leads to those
 * that wait for whoever does their job.
 */
export const schedules: Migration = {
  version: 13,
  name: 'schedules',
  sql: `
    CREATE TABLE substrate_schedules (
      id        TEXT PRIMARY KEY,
      name      TEXT NOT NULL UNIQUE,
      cron      TEXT NOT NULL,
      zone      TEXT,
      job       TEXT NOT NULL CHECK (job IN ('drain', 'synthesizer', 'task')),
      draft     TEXT,
      catch_up  TEXT NOT NULL CHECK (catch_up IN ('skip', 'once', 'all')),
      added_at  INTEGER NOT NULL,
      next_due  INTEGER,
      next_zone TEXT,
      last_due  INTEGER,
      CHECK ((job = 'task') = (draft IS NOT NULL))
    ) STRICT;

    CREATE TABLE substrate_occurrences (
      schedule   TEXT NOT NULL,
      due        INTEGER NOT NULL,
      name       TEXT NOT NULL,
      job        TEXT NOT NULL,
      state      TEXT NOT NULL CHECK (state IN ('due', 'running', 'done', 'failed', 'skipped')),
      attempts   INTEGER NOT NULL DEFAULT 0,
      made_at    INTEGER NOT NULL,
      started_at INTEGER,
      ended_at   INTEGER,
      result     TEXT,
      says       TEXT,
      receipt    INTEGER NOT NULL,
      PRIMARY KEY (schedule, due)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX substrate_occurrences_waiting ON substrate_occurrences (job, due) WHERE state IN ('due', 'running');

    CREATE TABLE substrate_probes (
      name          TEXT PRIMARY KEY,
      kind          TEXT NOT NULL CHECK (kind IN ('git', 'files', 'jsonl', 'sqlite')),
      place         TEXT NOT NULL,
      spec          TEXT NOT NULL,
      every_ms      INTEGER NOT NULL,
      added_at      INTEGER NOT NULL,
      cursor        TEXT,
      looked_at     INTEGER,
      problem       TEXT,
      says          TEXT,
      problem_since INTEGER
    ) STRICT;
  `,
};
