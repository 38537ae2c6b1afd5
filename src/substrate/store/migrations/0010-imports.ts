import type { Migration } from './migration.ts';

/** Transcripts that clients keep on disk, taken over into sessions: how far, and what is being read just now. */
export const imports: Migration = {
  version: 10,
  name: 'imports',
  sql: `
    CREATE TABLE substrate_session_imports (
      session TEXT PRIMARY KEY,
      client  TEXT NOT NULL,
      head    TEXT NOT NULL,
      bytes   INTEGER NOT NULL,
      hash    TEXT NOT NULL,
      epoch   INTEGER NOT NULL,
      length  INTEGER NOT NULL,
      carry   TEXT NOT NULL,
      losses  TEXT NOT NULL,
      at      INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX substrate_session_imports_head ON substrate_session_imports (client, head, bytes);

    CREATE TABLE substrate_staged_messages (
      import TEXT NOT NULL,
      idx    INTEGER NOT NULL,
      body   TEXT NOT NULL,
      hash   BLOB NOT NULL,
      PRIMARY KEY (import, idx)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_staged_tools (
      import TEXT NOT NULL,
      call   TEXT NOT NULL,
      name   TEXT,
      done   INTEGER NOT NULL,
      PRIMARY KEY (import, call)
    ) STRICT, WITHOUT ROWID;
  `,
};
