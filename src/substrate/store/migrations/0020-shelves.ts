import type { Migration } from './migration.ts';

/**
 * The shelves of content by themselves, filled 128 pieces at a time.
 *
 * An index takes in each piece as it comes, at a place that is as good as random: one more page for every
 * commit, and for a group of operations as many as it keeps pieces. Now a piece stands on no shelf until 128
 * have come (`id >> 7`); then all of them are put there together, which changes hardly more pages than one of
 * them would. Until then whoever looks for it looks at these few themselves; see `content.ts`.
 *
 * All before the newest piece's 128 stand on a shelf, whatever was erased meanwhile: the first piece after a
 * border shelves those before it that do not stand there already, among them numbers that were given anew.
 */
export const shelves: Migration = {
  version: 20,
  name: 'shelves',
  sql: `
    DROP INDEX substrate_content_shelf;
    CREATE TABLE substrate_content_shelves (
      shelf    INTEGER NOT NULL,
      prefix   TEXT NOT NULL,
      id       INTEGER NOT NULL,
      erase_at INTEGER,
      PRIMARY KEY (shelf, prefix, id)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO substrate_content_shelves
      SELECT id >> 12 AS shelf, substr(hash, 1, 12) AS prefix, id, erase_at FROM substrate_content
        WHERE id < (SELECT max(id) >> 7 << 7 FROM substrate_content) ORDER BY shelf, prefix, id;

    CREATE TRIGGER substrate_content_shelve AFTER INSERT ON substrate_content
      WHEN new.id >> 7 > (SELECT max(id) >> 7 FROM substrate_content WHERE id < new.id) BEGIN
        INSERT OR IGNORE INTO substrate_content_shelves
          SELECT id >> 12, substr(hash, 1, 12), id, erase_at FROM substrate_content
            WHERE id < new.id AND id >= (SELECT max(id) >> 7 << 7 FROM substrate_content WHERE id < new.id);
      END;
    CREATE TRIGGER substrate_content_kept AFTER UPDATE OF erase_at ON substrate_content BEGIN
        UPDATE substrate_content_shelves SET erase_at = new.erase_at
          WHERE shelf = new.id >> 12 AND prefix = substr(new.hash, 1, 12) AND id = new.id;
      END;
    CREATE TRIGGER substrate_content_erased AFTER DELETE ON substrate_content BEGIN
        DELETE FROM substrate_content_shelves
          WHERE shelf = old.id >> 12 AND prefix = substr(old.hash, 1, 12) AND id = old.id;
      END;
  `,
};
