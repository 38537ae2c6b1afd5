import type { Migration } from './migration.ts';

/**
 * Content, calls and ledger, laid out for the disk: what every call changes is in as few pages as can be.
 *
 * Content is numbered as it comes, and found by its hash through an index that grows at its end too.
 * A hash is as good as random. Under a unique index of it each piece of content changed another page of
 * that index; now the index has a shelf for every 4,096 numbers (`id >> 12`), and only the newest shelf is
 * written to. Whoever looks for a hash looks on each shelf, the newest first; see `content.ts`.
 *
 * What is under way is not indexed as such any more: a call that is, and money that is held, has an open
 * intent, which leads to both after a crash. A call between two attempts has none, and is marked.
 */
export const content: Migration = {
  version: 11,
  name: 'content',
  sql: `
    CREATE TABLE substrate_content_numbered (
      id       INTEGER PRIMARY KEY,
      hash     TEXT NOT NULL,
      salt     BLOB NOT NULL,
      body     BLOB NOT NULL,
      erase_at INTEGER
    ) STRICT;
    INSERT INTO substrate_content_numbered (id, hash, salt, body, erase_at)
      SELECT rowid, hash, salt, body, erase_at FROM substrate_content ORDER BY rowid;
    DROP TABLE substrate_content;
    ALTER TABLE substrate_content_numbered RENAME TO substrate_content;
    CREATE INDEX substrate_content_shelf ON substrate_content (id >> 12, substr(hash, 1, 12));
    CREATE INDEX substrate_content_erase ON substrate_content (erase_at) WHERE erase_at IS NOT NULL;

    DROP INDEX substrate_ledger_held;

    DROP INDEX substrate_calls_open;
    ALTER TABLE substrate_calls ADD COLUMN halfway INTEGER;
    UPDATE substrate_calls SET halfway = 1 WHERE status = 'running';
    CREATE INDEX substrate_calls_halfway ON substrate_calls (id) WHERE halfway IS NOT NULL;
    CREATE INDEX substrate_calls_queued ON substrate_calls (created_at, id) WHERE status = 'queued';
  `,
};
