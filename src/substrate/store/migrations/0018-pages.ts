import type { Migration } from './migration.ts';

/**
 * Fewer pages for a commit to write: what an index was kept for with every operation is found another way.
 *
 * Intents without an outcome are counted by the writer; the head says where the earliest stands, and a start
 * reads from there. In a home from before that is its newest start, which settled what stood open then. Content
 * that is due is found on the shelves that its hash is found on. Calls are kept in the order of their ids, which
 * begin with their time, and need no other index to be found by them.
 */
export const pages: Migration = {
  version: 18,
  name: 'pages',
  sql: `
    ALTER TABLE substrate_log ADD COLUMN open_from INTEGER NOT NULL DEFAULT 0;
    UPDATE substrate_log SET open_from =
      coalesce((SELECT max(seq) FROM substrate_receipts WHERE action = 'seed.start'), 0);
    DROP INDEX substrate_receipts_unusual;
    CREATE INDEX substrate_receipts_unusual ON substrate_receipts (outcome, seq) WHERE outcome NOT IN ('ok', 'intent');

    DROP INDEX substrate_content_shelf;
    DROP INDEX substrate_content_erase;
    CREATE INDEX substrate_content_shelf ON substrate_content (id >> 12, substr(hash, 1, 12), erase_at);

    CREATE TABLE substrate_calls_by_id (
      id              TEXT PRIMARY KEY,
      grant_id        TEXT,
      actor           TEXT NOT NULL,
      role            TEXT NOT NULL,
      session         TEXT,
      status          TEXT NOT NULL CHECK (status IN ('queued', 'running', 'complete', 'incomplete', 'refused', 'failed', 'in_doubt')),
      idempotency_key TEXT,
      input           TEXT NOT NULL,
      output          TEXT,
      outcome         TEXT,
      created_at      INTEGER NOT NULL,
      halfway         INTEGER
    ) STRICT, WITHOUT ROWID;
    INSERT INTO substrate_calls_by_id
      SELECT id, grant_id, actor, role, session, status, idempotency_key, input, output, outcome, created_at, halfway
        FROM substrate_calls ORDER BY id;
    DROP TABLE substrate_calls;
    ALTER TABLE substrate_calls_by_id RENAME TO substrate_calls;
    CREATE UNIQUE INDEX substrate_calls_key ON substrate_calls (coalesce(grant_id, ''), idempotency_key)
      WHERE idempotency_key IS NOT NULL;
    CREATE INDEX substrate_calls_halfway ON substrate_calls (id) WHERE halfway IS NOT NULL;
    CREATE INDEX substrate_calls_queued ON substrate_calls (created_at, id) WHERE status = 'queued';
  `,
};
