import type { Migration } from './migration.ts';

/** The tables that make up the policy, with the columns that a change is recorded with. */
export const POLICY_TABLES = {
  substrate_policy: ['timezone'],
  substrate_targets: ['name', 'provider', 'base_url', 'credential'],
  substrate_routing_config: ['role', 'dispatch', 'position', 'target', 'model', 'tier', 'context_tokens', 'limits'],
  substrate_prices: ['target', 'model', 'source', 'edition', 'input', 'output', 'cached_input', 'cache_write'],
  substrate_ceilings: ['scope', 'window', 'limit_micro_usd'],
} as const;

function rowOf(alias: 'old' | 'new', columns: readonly string[]): string {
  return `json_object(${columns.map((column) => `'${column}', ${alias}.${column}`).join(', ')})`;
}

/**
 * Every edit is recorded in the editor's own transaction, whoever the editor is. The mark is random,
 * so that the newest one stands for one state of the policy and for no other.
 */
export function triggerTexts(
  tables: Readonly<Record<string, readonly string[]>>,
  nowMs: string,
): Readonly<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const [table, columns] of Object.entries(tables)) {
    for (const [verb, before, after] of [
      ['INSERT', 'NULL', rowOf('new', columns)],
      ['UPDATE', rowOf('old', columns), rowOf('new', columns)],
      ['DELETE', rowOf('old', columns), 'NULL'],
    ] as const) {
      const name = `${table}_${verb.toLowerCase()}`;
      texts[name] = `CREATE TRIGGER ${name} AFTER ${verb} ON ${table} BEGIN
        INSERT INTO policy_change (at_ms, source_table, before, after, mark)
          VALUES (${nowMs}, '${table}', ${before}, ${after}, lower(hex(randomblob(8))));
      END`;
    }
  }
  return texts;
}

/** How the first triggers took the time, which SQLite knows since 3.42; `0022-moments.ts` puts others in their place. */
export const SUBSEC_MS = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/** Operations by which the owner, or the seed for the owner, has confirmed every row of the policy. */
export const POLICY_SEAL_ACTIONS = ['policy.ack', 'policy.apply', 'policy.prices', 'policy.rollback'] as const;

/** Their receipts. */
export const POLICY_SEALS = `action IN (${POLICY_SEAL_ACTIONS.map((action) => `'${action}'`).join(', ')}) AND outcome = 'ok'`;

/** Integers that every driver and JSON can hold. */
function exact(column: string): string {
  return `CHECK (${column} BETWEEN -9007199254740991 AND 9007199254740991)`;
}

/** The owner's policy as rows, its versions, and the record of every edit. */
export const policy: Migration = {
  version: 3,
  name: 'policy',
  sql: `
    CREATE TABLE substrate_policy (
      id       INTEGER PRIMARY KEY CHECK (id = 1),
      timezone TEXT NOT NULL
    ) STRICT;

    CREATE TABLE substrate_targets (
      name       TEXT NOT NULL PRIMARY KEY,
      provider   TEXT NOT NULL,
      base_url   TEXT NOT NULL,
      credential TEXT
    ) STRICT;

    CREATE TABLE substrate_routing_config (
      role     TEXT NOT NULL,
      dispatch TEXT NOT NULL,
      position INTEGER NOT NULL ${exact('position')},
      target   TEXT NOT NULL,
      model    TEXT NOT NULL,
      tier     INTEGER NOT NULL ${exact('tier')},
      context_tokens INTEGER ${exact('context_tokens')},
      limits   TEXT NOT NULL DEFAULT '{}',
      PRIMARY KEY (role, position)
    ) STRICT;

    CREATE TABLE substrate_prices (
      target       TEXT NOT NULL,
      model        TEXT NOT NULL,
      source       TEXT NOT NULL,
      edition      TEXT NOT NULL,
      input        INTEGER NOT NULL ${exact('input')},
      output       INTEGER NOT NULL ${exact('output')},
      cached_input INTEGER ${exact('cached_input')},
      cache_write  INTEGER ${exact('cache_write')},
      PRIMARY KEY (target, model, source)
    ) STRICT;

    CREATE TABLE substrate_ceilings (
      scope           TEXT NOT NULL,
      window          TEXT NOT NULL,
      limit_micro_usd INTEGER NOT NULL ${exact('limit_micro_usd')},
      PRIMARY KEY (scope, window)
    ) STRICT;

    CREATE TABLE substrate_policy_versions (
      version     INTEGER PRIMARY KEY,
      applied_at  INTEGER NOT NULL,
      document    TEXT NOT NULL,
      hash        TEXT NOT NULL,
      receipt     INTEGER NOT NULL,
      last_change INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE policy_change (
      id              INTEGER PRIMARY KEY AUTOINCREMENT,
      at_ms           INTEGER NOT NULL,
      source_table    TEXT NOT NULL,
      before          TEXT,
      after           TEXT,
      mark            TEXT NOT NULL,
      origin          TEXT,
      receipt         INTEGER,
      acknowledged_at INTEGER
    ) STRICT;
    CREATE INDEX policy_change_unnoted ON policy_change (id) WHERE receipt IS NULL;
    CREATE INDEX policy_change_outside ON policy_change (id) WHERE origin IS NULL;
    CREATE INDEX substrate_receipts_policy ON substrate_receipts (seq) WHERE ${POLICY_SEALS};
    ${Object.values(triggerTexts(POLICY_TABLES, SUBSEC_MS)).join(';\n')};
  `,
};
