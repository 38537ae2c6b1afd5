import type { Migration } from './migration.ts';

/**
 * A handoff is offered to a grant. Its name was all that was kept, and a name is free again when its grant is
 * removed: whoever came by it next had the offer. Open ones keep the grant that bears the name now.
 */
export const audience: Migration = {
  version: 23,
  name: 'audience',
  sql: `
    ALTER TABLE substrate_handoffs ADD COLUMN audience_grant TEXT;
    UPDATE substrate_handoffs SET audience_grant = (SELECT id FROM substrate_grants WHERE name = audience LIMIT 1);
    DROP INDEX substrate_handoffs_open;
    CREATE INDEX substrate_handoffs_open ON substrate_handoffs (audience_grant, audience, offered_at)
      WHERE status = 'offered';
  `,
};
