import type { Migration } from './migration.ts';

/** Conversations of clients that come through the gateway. */
export const gateway: Migration = {
  version: 12,
  name: 'gateway',
  sql: ``,
};
