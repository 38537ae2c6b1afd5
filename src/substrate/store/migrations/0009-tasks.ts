import type { Migration } from './migration.ts';

/** Where a task without a deadline stands among those with one. */
const NEVER = Number.MAX_SAFE_INTEGER;

/**
 * The work that agents owe each other: tasks, what each waits for, and what happened to it.
 *
 * A task's own words stand apart as content. The indexes lead to live tasks in the order of their urgency,
 * to how many of them one principal added, and to what a subsystem got done. Calls that are in
 * doubt wait for the owner, too, and are found among all others.
 */
export const tasks: Migration = {
  version: 9,
  name: 'tasks',
  sql: `
    CREATE TABLE substrate_tasks (
      seq              INTEGER PRIMARY KEY,
      id               TEXT NOT NULL UNIQUE,
      subsystem        TEXT NOT NULL,
      state            TEXT NOT NULL CHECK (state IN ('open', 'claimed', 'finished', 'done', 'cancelled')),
      priority         INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 5),
      deadline         INTEGER,
      body             TEXT NOT NULL,
      stated_check     TEXT,
      adder            TEXT NOT NULL,
      adder_name       TEXT NOT NULL,
      adder_principal  TEXT NOT NULL,
      holder           TEXT,
      holder_name      TEXT,
      holder_principal TEXT,
      lease            INTEGER NOT NULL DEFAULT 0,
      lease_ms         INTEGER NOT NULL DEFAULT 0,
      lease_until      INTEGER NOT NULL DEFAULT 0,
      verifier_name    TEXT,
      added_at         INTEGER NOT NULL,
      claimed_at       INTEGER,
      finished_at      INTEGER,
      verified_at      INTEGER,
      changed_at       INTEGER NOT NULL,
      events           INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX substrate_tasks_live ON substrate_tasks (priority, coalesce(deadline, ${NEVER}), seq)
      WHERE state IN ('open', 'claimed', 'finished');
    CREATE INDEX substrate_tasks_adder ON substrate_tasks (adder_principal) WHERE state IN ('open', 'claimed', 'finished');
    CREATE INDEX substrate_tasks_subsystem ON substrate_tasks (subsystem, seq);

    CREATE TABLE substrate_task_needs (
      task  TEXT NOT NULL,
      needs TEXT NOT NULL,
      PRIMARY KEY (task, needs)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX substrate_task_needs_back ON substrate_task_needs (needs, task);

    CREATE TABLE substrate_task_events (
      task    TEXT NOT NULL,
      n       INTEGER NOT NULL,
      at      INTEGER NOT NULL,
      receipt INTEGER NOT NULL,
      actor   TEXT NOT NULL,
      event   TEXT NOT NULL,
      state   TEXT NOT NULL,
      lease   INTEGER NOT NULL,
      note    TEXT,
      PRIMARY KEY (task, n)
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX substrate_calls_in_doubt ON substrate_calls (created_at) WHERE status = 'in_doubt';
  `,
};
