import type { Migration } from './migration.ts';

/** What is due when, and work outside the seed that is looked at. */
export const schedules: Migration = {
  version: 13,
  name: 'schedules',
  sql: ``,
};
