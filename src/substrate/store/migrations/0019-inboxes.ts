import type { Migration } from './migration.ts';

/**
 * Inboxes count what is settled, not what waits: a send then changes no row of theirs, which spares its commit a
 * page. The next place and what waits are told from the newest message that waits and the newest that is settled.
 *
 * What waits is counted from the messages themselves. Up to the last place that was given, no place is free.
 */
export const inboxes: Migration = {
  version: 19,
  name: 'inboxes',
  sql: `
    ALTER TABLE substrate_inboxes RENAME COLUMN waiting TO settled;
    ALTER TABLE substrate_inboxes RENAME COLUMN next_seq TO settled_seq;
    UPDATE substrate_inboxes SET
      settled = settled_seq - 1 - (SELECT count(*) FROM substrate_messages m WHERE m.inbox = substrate_inboxes.id),
      settled_seq = settled_seq - 1;
  `,
};
