import type { Migration } from './migration.ts';

/** Who may come in, what they asked for, and what the owner decided about the doors. */
export const membrane: Migration = {
  version: 2,
  name: 'membrane',
  sql: `
    CREATE TABLE substrate_grants (
      id         TEXT PRIMARY KEY,
      name       TEXT NOT NULL,
      door       TEXT NOT NULL CHECK (door IN ('agent', 'http')),
      kind       TEXT NOT NULL CHECK (kind IN ('agent', 'helper')),
      scopes     TEXT NOT NULL,
      surface    TEXT NOT NULL CHECK (surface IN ('daily', 'full')),
      parent     TEXT REFERENCES substrate_grants (id),
      public_key TEXT,
      created_at INTEGER NOT NULL,
      expires_at INTEGER,
      UNIQUE (door, name)
    ) STRICT;
    CREATE INDEX substrate_grants_parent ON substrate_grants (parent) WHERE parent IS NOT NULL;

    CREATE TABLE substrate_grant_use (
      grant_id  TEXT PRIMARY KEY,
      last_seen INTEGER NOT NULL,
      calls     INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_assertions (
      id         TEXT PRIMARY KEY,
      expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX substrate_assertions_expiry ON substrate_assertions (expires_at);

    CREATE TABLE substrate_requests (
      id         TEXT PRIMARY KEY,
      grant_id   TEXT NOT NULL,
      body       TEXT NOT NULL,
      hash       TEXT NOT NULL,
      status     TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied')),
      created_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      decided_at INTEGER
    ) STRICT;
    CREATE INDEX substrate_requests_status ON substrate_requests (status, created_at);

    CREATE TABLE substrate_switches (
      name  TEXT PRIMARY KEY,
      value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
  `,
};
