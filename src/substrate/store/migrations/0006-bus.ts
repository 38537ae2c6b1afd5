import type { Migration } from './migration.ts';

/** Messages, and where each stands with each of its recipients. */
export const bus: Migration = {
  version: 6,
  name: 'bus',
  sql: `
    CREATE TABLE substrate_messages (
      id         TEXT PRIMARY KEY,
      sender     TEXT NOT NULL,
      thread     TEXT NOT NULL,
      body       TEXT NOT NULL,
      sent_at    INTEGER NOT NULL,
      expires_at INTEGER
    ) STRICT, WITHOUT ROWID;
  `,
};
