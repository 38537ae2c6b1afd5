/** A home as an earlier version left it: what each later one did to the tables is undone. */
import { homePath } from '../../src/substrate/home/layout.ts';
import { openConnection } from '../../src/substrate/store/connection.ts';

/** The newest first. Version 22 wrote triggers anew, which it can again. */
const UNDO: readonly (readonly [version: number, sql: string])[] = [
  [
    23,
    `DROP INDEX substrate_handoffs_open;
     ALTER TABLE substrate_handoffs DROP COLUMN audience_grant;
     CREATE INDEX substrate_handoffs_open ON substrate_handoffs (audience, offered_at) WHERE status = 'offered';`,
  ],
  [
    21,
    `DROP TABLE substrate_receipts_by_grant;
     DROP TABLE substrate_receipts_by_outcome;
     CREATE INDEX substrate_receipts_grant ON substrate_receipts (grant_id, seq) WHERE grant_id IS NOT NULL;
     CREATE INDEX substrate_receipts_unusual ON substrate_receipts (outcome, seq)
       WHERE outcome NOT IN ('ok', 'intent');`,
  ],
  [
    20,
    `DROP TRIGGER substrate_content_shelve;
     DROP TRIGGER substrate_content_kept;
     DROP TRIGGER substrate_content_erased;
     DROP TABLE substrate_content_shelves;
     CREATE INDEX substrate_content_shelf ON substrate_content (id >> 12, substr(hash, 1, 12), erase_at);`,
  ],
  [
    19,
    `ALTER TABLE substrate_inboxes RENAME COLUMN settled TO waiting;
     ALTER TABLE substrate_inboxes RENAME COLUMN settled_seq TO next_seq;`,
  ],
];

/** Takes a home that nobody has open back to that version. */
export function takeBack(home: string, version: number): void {
  const db = openConnection('better-sqlite3', homePath(home, 'database'));
  for (const [undone, sql] of UNDO) if (undone > version) db.exec(sql);
  db.exec(`DELETE FROM substrate_migrations WHERE version > ${version}`);
  db.close();
}
