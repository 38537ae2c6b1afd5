import type { Migration } from './migration.ts';

/** What agents remember, by space, with its full-text index. */
export const memory: Migration = {
  version: 7,
  name: 'memory',
  sql: `
    CREATE TABLE substrate_memories (
      id         TEXT PRIMARY KEY,
      space      TEXT NOT NULL,
      text       TEXT NOT NULL,
      written_at INTEGER NOT NULL
    ) STRICT;
  `,
};
