import type { Migration } from './migration.ts';

/** What the mind has seen, decided and switched on. */
export const mind: Migration = {
  version: 14,
  name: 'mind',
  sql: ``,
};
