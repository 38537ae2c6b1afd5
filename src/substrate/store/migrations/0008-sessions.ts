import type { Migration } from './migration.ts';

/** Work that outlives the model, the client and the crash: sessions, their transcripts, and their handing over. */
export const sessions: Migration = {
  version: 8,
  name: 'sessions',
  sql: `
    CREATE TABLE substrate_sessions (
      id                TEXT PRIMARY KEY,
      holder            TEXT,
      holder_name       TEXT NOT NULL,
      epoch             INTEGER NOT NULL,
      status            TEXT NOT NULL CHECK (status IN ('open', 'closed')),
      origin            TEXT NOT NULL,
      scopes            TEXT NOT NULL,
      budget_micro_usd  INTEGER,
      reserve_micro_usd INTEGER NOT NULL DEFAULT 0,
      deadline          INTEGER,
      checkpoint        TEXT NOT NULL,
      length            INTEGER NOT NULL,
      running_hash      BLOB NOT NULL,
      step_call         TEXT,
      created_at        INTEGER NOT NULL,
      changed_at        INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX substrate_sessions_changed ON substrate_sessions (changed_at);
    CREATE INDEX substrate_sessions_holder ON substrate_sessions (holder, changed_at) WHERE status = 'open';

    CREATE TABLE substrate_session_leases (
      session TEXT PRIMARY KEY,
      until   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_session_messages (
      session TEXT NOT NULL,
      idx     INTEGER NOT NULL,
      epoch   INTEGER NOT NULL,
      body    TEXT NOT NULL,
      hash    BLOB NOT NULL,
      at      INTEGER NOT NULL,
      PRIMARY KEY (session, idx)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_session_keys (
      session TEXT NOT NULL,
      key     TEXT NOT NULL,
      hash    TEXT NOT NULL,
      idx     INTEGER NOT NULL,
      length  INTEGER NOT NULL,
      call    TEXT,
      PRIMARY KEY (session, key)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_session_tools (
      session         TEXT NOT NULL,
      call            TEXT NOT NULL,
      name            TEXT NOT NULL,
      idempotency_key TEXT NOT NULL,
      state           TEXT NOT NULL CHECK (state IN ('not_started', 'in_doubt', 'done')),
      PRIMARY KEY (session, call)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_session_hops (
      session    TEXT NOT NULL,
      offered    INTEGER NOT NULL,
      call       TEXT NOT NULL,
      epoch      INTEGER NOT NULL,
      from_model TEXT NOT NULL,
      why        TEXT NOT NULL,
      messages   INTEGER NOT NULL,
      hash       BLOB NOT NULL,
      to_model   TEXT,
      redeemed   INTEGER,
      hash_after BLOB,
      at         INTEGER NOT NULL,
      PRIMARY KEY (session, offered)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_handoffs (
      id               TEXT PRIMARY KEY,
      session          TEXT NOT NULL,
      epoch            INTEGER NOT NULL,
      offerer          TEXT,
      offerer_name     TEXT NOT NULL,
      audience         TEXT NOT NULL,
      token_hash       TEXT,
      package          TEXT NOT NULL,
      package_hash     TEXT NOT NULL,
      budget_micro_usd INTEGER,
      scopes           TEXT NOT NULL,
      note             TEXT NOT NULL,
      status           TEXT NOT NULL CHECK (status IN ('offered', 'redeemed', 'withdrawn')),
      redeemer         TEXT,
      redeem_id        TEXT,
      redeemed_epoch   INTEGER,
      offered_at       INTEGER NOT NULL,
      expires_at       INTEGER NOT NULL,
      settled_at       INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX substrate_handoffs_token ON substrate_handoffs (token_hash) WHERE token_hash IS NOT NULL;
    CREATE INDEX substrate_handoffs_redeemed ON substrate_handoffs (redeemer, redeem_id) WHERE redeemer IS NOT NULL;
    CREATE INDEX substrate_handoffs_open ON substrate_handoffs (audience, offered_at) WHERE status = 'offered';
    CREATE INDEX substrate_handoffs_session ON substrate_handoffs (session, offered_at);
  `,
};
