import { POLICY_TABLES, triggerTexts } from './0003-policy.ts';
import type { Migration } from './migration.ts';

/** Milliseconds since the epoch, in words that SQLite has known since 2004: `unixepoch('subsec')` is of 2023 (3.42). */
const NOW_MS = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";

/** What records an edit of the policy, by whatever program, as SQLite keeps it: without it an edit could go unseen. */
export const RECORDERS: Readonly<Record<string, string>> = triggerTexts(
  { ...POLICY_TABLES, substrate_notices: ['event', 'notifier'] },
  NOW_MS,
);

/** Rows of the policy can be edited by older programs too, such as the `sqlite3` of Debian 12 (3.40). */
export const moments: Migration = {
  version: 22,
  name: 'moments',
  sql: Object.entries(RECORDERS)
    .map(([name, text]) => `DROP TRIGGER ${name};\n${text};`)
    .join('\n'),
};
