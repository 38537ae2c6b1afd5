import type { Migration } from './migration.ts';

/** Calls to models: what was asked, how it stands, what came of it; and what waits for the drain. */
export const calls: Migration = {
  version: 5,
  name: 'calls',
  sql: `
    CREATE TABLE substrate_calls (
      id              TEXT PRIMARY KEY,
      grant_id        TEXT,
      actor           TEXT NOT NULL,
      role            TEXT NOT NULL,
      session         TEXT,
      status          TEXT NOT NULL CHECK (status IN ('queued', 'running', 'complete', 'incomplete', 'refused', 'failed', 'in_doubt')),
      idempotency_key TEXT,
      input           TEXT NOT NULL,
      output          TEXT,
      outcome         TEXT,
      created_at      INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX substrate_calls_key ON substrate_calls (coalesce(grant_id, ''), idempotency_key)
      WHERE idempotency_key IS NOT NULL;
    CREATE INDEX substrate_calls_open ON substrate_calls (status, created_at) WHERE status IN ('queued', 'running');

    CREATE TABLE substrate_benched (
      target         TEXT NOT NULL,
      model          TEXT NOT NULL,
      reason         TEXT NOT NULL,
      until_ms       INTEGER,
      policy_version TEXT NOT NULL,
      PRIMARY KEY (target, model)
    ) STRICT, WITHOUT ROWID;
  `,
};
