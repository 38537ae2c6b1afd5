import type { Migration } from './migration.ts';

/** What the owner has been told. */
export const notices: Migration = {
  version: 16,
  name: 'notices',
  sql: ``,
};
