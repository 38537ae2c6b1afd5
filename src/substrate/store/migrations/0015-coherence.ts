import type { Migration } from './migration.ts';

/** How the work of each subsystem goes. */
export const coherence: Migration = {
  version: 15,
  name: 'coherence',
  sql: ``,
};
