import type { Migration } from './migration.ts';

/**
 * What the mind has switched on, seen and decided.
 *
 * The log of decisions is a ring of the newest; nothing is decided by it, nor by the cursor, which says how
 * far the receipts were perceived. What became of each message to the seed itself stands under the message's
 * place in the seed's inbox, so a message has one row at most; `untold` is the hash of what the owner is told as
 * soon as the owner's inbox has room. A synthesis is a call that waits for the
 * drain, with the receipts that it was shown.
 */
export const mind: Migration = {
  version: 14,
  name: 'mind',
  sql: `
    CREATE TABLE substrate_mind_organs (
      name       TEXT PRIMARY KEY,
      is_on      INTEGER NOT NULL,
      admitted   INTEGER NOT NULL,
      changed_at INTEGER NOT NULL,
      receipt    INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_mind_cursor (
      id  INTEGER PRIMARY KEY CHECK (id = 1),
      seq INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE substrate_mind_log (
      n        INTEGER PRIMARY KEY,
      at       INTEGER NOT NULL,
      organ    TEXT NOT NULL,
      act      TEXT NOT NULL,
      because  TEXT NOT NULL,
      ended_at INTEGER,
      done     INTEGER,
      says     TEXT
    ) STRICT;

    CREATE TABLE substrate_mind_sorted (
      seq       INTEGER PRIMARY KEY,
      at        INTEGER NOT NULL,
      receipt   INTEGER NOT NULL,
      sender    TEXT NOT NULL,
      thread    TEXT NOT NULL,
      kind      TEXT NOT NULL CHECK (kind IN ('task', 'note', 'question', 'alert', 'noise')),
      sorted_by TEXT NOT NULL CHECK (sorted_by IN ('model', 'rules')),
      became    TEXT,
      replied   INTEGER NOT NULL,
      untold    TEXT
    ) STRICT;
    CREATE INDEX substrate_mind_sorted_thread ON substrate_mind_sorted (thread) WHERE replied = 1;
    CREATE INDEX substrate_mind_sorted_untold ON substrate_mind_sorted (seq) WHERE untold IS NOT NULL;

    CREATE TABLE substrate_mind_syntheses (
      call       TEXT PRIMARY KEY,
      first_seq  INTEGER NOT NULL,
      last_seq   INTEGER NOT NULL,
      shown      TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      state      TEXT NOT NULL CHECK (state IN ('waiting', 'written', 'failed')),
      memory     TEXT,
      says       TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX substrate_mind_syntheses_waiting ON substrate_mind_syntheses (created_at) WHERE state = 'waiting';
  `,
};
