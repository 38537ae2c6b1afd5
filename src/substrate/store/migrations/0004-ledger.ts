import type { Migration } from './migration.ts';

/** Money: what each attempt holds and cost, and the sums by scope and day that ceilings are held against. */
export const ledger: Migration = {
  version: 4,
  name: 'ledger',
  sql: `
    CREATE TABLE substrate_ledger (
      id              TEXT PRIMARY KEY,
      receipt         INTEGER NOT NULL,
      day             TEXT NOT NULL,
      role            TEXT NOT NULL,
      target          TEXT NOT NULL,
      model           TEXT NOT NULL,
      spender         TEXT NOT NULL,
      bound_micro_usd INTEGER NOT NULL,
      cost_micro_usd  INTEGER,
      usage           TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX substrate_ledger_held ON substrate_ledger (receipt) WHERE cost_micro_usd IS NULL;

    CREATE TABLE substrate_spending (
      scope           TEXT NOT NULL,
      day             TEXT NOT NULL,
      spent_micro_usd INTEGER NOT NULL,
      held_micro_usd  INTEGER NOT NULL,
      PRIMARY KEY (scope, day)
    ) STRICT, WITHOUT ROWID;
  `,
};
