import { SUBSEC_MS, triggerTexts } from './0003-policy.ts';
import type { Migration } from './migration.ts';

/** Edits of what the owner is told are edits of the policy, and recorded like those. */
const TRIGGERS = triggerTexts({ substrate_notices: ['event', 'notifier'] }, SUBSEC_MS);

/** What the owner wants to be told of and by what, and what was told. */
export const notices: Migration = {
  version: 16,
  name: 'notices',
  sql: `
    CREATE TABLE substrate_notices (
      event    TEXT NOT NULL,
      notifier TEXT NOT NULL,
      PRIMARY KEY (event, notifier)
    ) STRICT;
    ${Object.values(TRIGGERS).join(';\n')};

    CREATE TABLE substrate_told (
      fact     TEXT NOT NULL,
      notifier TEXT NOT NULL,
      event    TEXT NOT NULL,
      says     TEXT NOT NULL,
      state    TEXT NOT NULL CHECK (state IN ('told', 'failed', 'given_up')),
      tries    INTEGER NOT NULL,
      at       INTEGER NOT NULL,
      retry_at INTEGER,
      PRIMARY KEY (fact, notifier)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX substrate_told_at ON substrate_told (at);
    CREATE INDEX substrate_told_last ON substrate_told (event, notifier, at) WHERE state = 'told';
  `,
};
