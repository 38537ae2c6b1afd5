import type { Migration } from './migration.ts';

/**
 * Inboxes with what waits in them, what became of the rest, topics, and the keys under which was sent.
 *
 * A send writes one row here for each recipient, and no index: what waits in an inbox is bounded, so
 * threads are told apart in memory. What is settled moves to a table of its own.
 */
export const bus: Migration = {
  version: 6,
  name: 'bus',
  sql: `
    CREATE TABLE substrate_inboxes (
      id       INTEGER PRIMARY KEY,
      holder   TEXT NOT NULL UNIQUE,
      next_seq INTEGER NOT NULL,
      waiting  INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE substrate_messages (
      inbox       INTEGER NOT NULL,
      seq         INTEGER NOT NULL,
      receipt     INTEGER NOT NULL,
      sender      TEXT NOT NULL,
      sender_name TEXT NOT NULL,
      thread      TEXT NOT NULL,
      format      TEXT NOT NULL,
      body        TEXT NOT NULL,
      sent_at     INTEGER NOT NULL,
      expires_at  INTEGER NOT NULL,
      lease       INTEGER NOT NULL DEFAULT 0,
      leased      INTEGER NOT NULL DEFAULT 0,
      not_before  INTEGER NOT NULL DEFAULT 0,
      failed      INTEGER NOT NULL DEFAULT 0,
      reason      TEXT,
      PRIMARY KEY (inbox, seq)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_settled_messages (
      inbox       INTEGER NOT NULL,
      seq         INTEGER NOT NULL,
      receipt     INTEGER NOT NULL,
      sender      TEXT NOT NULL,
      sender_name TEXT NOT NULL,
      thread      TEXT NOT NULL,
      format      TEXT NOT NULL,
      body        TEXT NOT NULL,
      sent_at     INTEGER NOT NULL,
      expires_at  INTEGER NOT NULL,
      lease       INTEGER NOT NULL,
      failed      INTEGER NOT NULL,
      reason      TEXT,
      state       TEXT NOT NULL CHECK (state IN ('acked', 'expired', 'dead', 'dropped')),
      settled_at  INTEGER NOT NULL,
      PRIMARY KEY (inbox, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX substrate_settled_messages_dead ON substrate_settled_messages (inbox, seq) WHERE state = 'dead';

    CREATE TABLE substrate_send_keys (
      sender  TEXT NOT NULL,
      key     TEXT NOT NULL,
      receipt INTEGER NOT NULL,
      body    TEXT NOT NULL,
      request TEXT NOT NULL,
      answer  TEXT NOT NULL,
      sent_at INTEGER NOT NULL,
      PRIMARY KEY (sender, key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_topics (
      topic TEXT NOT NULL,
      inbox INTEGER NOT NULL,
      PRIMARY KEY (topic, inbox)
    ) STRICT, WITHOUT ROWID;
  `,
};
