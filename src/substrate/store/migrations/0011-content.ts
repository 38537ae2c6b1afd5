import type { Migration } from './migration.ts';

/**
 * Content, laid out for the disk: numbered as it comes, and found by its hash through an index that grows
 * at its end too.
 *
 * A hash is as good as random. Under a unique index of it each piece of content changed another page of
 * that index; now the index has a shelf for every 4,096 numbers (`id >> 12`), and only the newest shelf is
 * written to. Whoever looks for a hash looks on each shelf, the newest first; see `content.ts`.
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
  `,
};
