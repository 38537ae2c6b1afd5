import type { Migration } from './migration.ts';

/** The receipt log with its tree, the content kept beside it, and what the doctor samples. */
export const ground: Migration = {
  version: 1,
  name: 'ground',
  sql: `
    CREATE TABLE substrate_receipts (
      seq     INTEGER PRIMARY KEY,
      bytes   TEXT NOT NULL,
      actor   TEXT NOT NULL,
      grant_id TEXT,
      action  TEXT NOT NULL,
      outcome TEXT NOT NULL,
      of_seq  INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX substrate_receipts_of ON substrate_receipts (of_seq) WHERE of_seq IS NOT NULL;
    CREATE INDEX substrate_receipts_grant ON substrate_receipts (grant_id, seq) WHERE grant_id IS NOT NULL;
    CREATE INDEX substrate_receipts_boot ON substrate_receipts (seq) WHERE action = 'seed.start';
    CREATE INDEX substrate_receipts_unusual ON substrate_receipts (outcome, seq) WHERE outcome <> 'ok';

    CREATE TABLE substrate_tree (
      level INTEGER NOT NULL,
      idx   INTEGER NOT NULL,
      hash  BLOB NOT NULL,
      PRIMARY KEY (level, idx)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_log (
      id         INTEGER PRIMARY KEY CHECK (id = 1),
      seed       TEXT NOT NULL,
      size       INTEGER NOT NULL,
      frontier   BLOB NOT NULL,
      prev       TEXT NOT NULL,
      time       TEXT NOT NULL,
      checkpoint TEXT NOT NULL
    ) STRICT;

    CREATE TABLE substrate_content (
      hash     TEXT NOT NULL UNIQUE,
      salt     BLOB NOT NULL,
      body     BLOB NOT NULL,
      erase_at INTEGER
    ) STRICT;
    CREATE INDEX substrate_content_erase ON substrate_content (erase_at) WHERE erase_at IS NOT NULL;

    CREATE TABLE substrate_growth (
      day   TEXT PRIMARY KEY,
      bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
  `,
};
