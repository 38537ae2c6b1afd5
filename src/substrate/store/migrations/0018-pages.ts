import type { Migration } from './migration.ts';

/**
 * Fewer pages for a commit to write: what an index was kept for with every operation is found another way.
 *
 * Intents without an outcome are counted by the writer; the head says where the earliest stands, and a start
 * reads from there. Content that is due is found on the shelves that its hash is found on. The receipts of
 * the boot that is under way, or was, stand for those of before this version.
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
  `,
};
