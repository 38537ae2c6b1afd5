import type { Migration } from './migration.ts';

/** Tasks that the worker carries, step by step. */
export const worker: Migration = {
  version: 17,
  name: 'worker',
  sql: ``,
};
