import type { Migration } from './migration.ts';

/**
 * Money: what each attempt holds and cost, the sums by scope and local day that ceilings are held
 * against, and the newest day that was booked on.
 */
export const ledger: Migration = {
  version: 4,
  name: 'ledger',
  sql: `
    CREATE TABLE substrate_ledger (
      id              TEXT PRIMARY KEY,
      receipt         INTEGER NOT NULL,
      day             TEXT NOT NULL,
      role            TEXT NOT NULL,
      agent           TEXT NOT NULL,
      session         TEXT,
      labels          TEXT NOT NULL,
      target          TEXT NOT NULL,
      model           TEXT NOT NULL,
      price_version   TEXT NOT NULL,
      bound_micro_usd INTEGER NOT NULL CHECK (bound_micro_usd >= 0),
      cost_micro_usd  INTEGER CHECK (cost_micro_usd >= 0),
      usage           TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX substrate_ledger_held ON substrate_ledger (receipt) WHERE cost_micro_usd IS NULL;

    CREATE TABLE substrate_spending (
      scope           TEXT NOT NULL,
      day             TEXT NOT NULL,
      spent_micro_usd INTEGER NOT NULL CHECK (spent_micro_usd >= 0),
      held_micro_usd  INTEGER NOT NULL CHECK (held_micro_usd >= 0),
      PRIMARY KEY (scope, day)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_ledger_day (
      id      INTEGER PRIMARY KEY CHECK (id = 1),
      day     TEXT NOT NULL,
      ends_at INTEGER NOT NULL
    ) STRICT;
  `,
};
