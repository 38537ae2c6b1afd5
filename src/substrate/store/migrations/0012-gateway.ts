import type { Migration } from './migration.ts';

/**
 * What the gateway needs to know: which names of models mean which role, and where the conversations of its
 * clients stand.
 *
 * A client sends its whole conversation each time and no name for it. `head` is a hash over what it has sent
 * and been answered so far; what comes next begins with just that. One row a session, replaced by each turn.
 */
export const gateway: Migration = {
  version: 12,
  name: 'gateway',
  sql: `
    CREATE TABLE substrate_gateway_models (
      pattern   TEXT PRIMARY KEY,
      role      TEXT NOT NULL,
      mapped_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_conversations (
      session  TEXT PRIMARY KEY,
      grant_id TEXT NOT NULL,
      head     BLOB NOT NULL,
      length   INTEGER NOT NULL,
      frame    BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX substrate_conversations_head ON substrate_conversations (grant_id, head);
  `,
};
