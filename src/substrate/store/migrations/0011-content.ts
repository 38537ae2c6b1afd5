import type { Migration } from './migration.ts';

/** Content, calls and ledger, laid out for the disk. */
export const content: Migration = {
  version: 11,
  name: 'content',
  sql: ``,
};
