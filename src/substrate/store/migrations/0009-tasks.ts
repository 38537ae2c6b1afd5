import type { Migration } from './migration.ts';

/** The work that the organism takes on. */
export const tasks: Migration = {
  version: 9,
  name: 'tasks',
  sql: `
    CREATE TABLE substrate_tasks (
      id         TEXT PRIMARY KEY,
      subsystem  TEXT NOT NULL,
      title      TEXT NOT NULL,
      state      TEXT NOT NULL,
      created_at INTEGER NOT NULL
    ) STRICT;
  `,
};
