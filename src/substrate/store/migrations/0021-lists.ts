import type { Migration } from './migration.ts';

/**
 * Receipts by grant and by outcome, listed 256 at a time in place of two indexes.
 *
 * An index of grants takes in each receipt where its grant's stand: a page more for every commit, and for a group
 * one for each grant that is at work in it, which was more than half of all that the group wrote. Now the log
 * lists the receipts of a tile together when it is complete; see `receipts/lists.ts`.
 */
export const lists: Migration = {
  version: 21,
  name: 'lists',
  sql: `
    DROP INDEX substrate_receipts_grant;
    DROP INDEX substrate_receipts_unusual;
    CREATE TABLE substrate_receipts_by_grant (
      grant_id TEXT NOT NULL,
      seq      INTEGER NOT NULL,
      PRIMARY KEY (grant_id, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE substrate_receipts_by_outcome (
      outcome TEXT NOT NULL,
      seq     INTEGER NOT NULL,
      PRIMARY KEY (outcome, seq)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO substrate_receipts_by_grant
      SELECT grant_id, seq FROM substrate_receipts
        WHERE seq < (SELECT size >> 8 << 8 FROM substrate_log) AND grant_id IS NOT NULL ORDER BY grant_id, seq;
    INSERT INTO substrate_receipts_by_outcome
      SELECT outcome, seq FROM substrate_receipts
        WHERE seq < (SELECT size >> 8 << 8 FROM substrate_log) AND outcome NOT IN ('ok', 'intent') ORDER BY outcome, seq;
  `,
};
