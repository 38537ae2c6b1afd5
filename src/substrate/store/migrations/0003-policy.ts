import type { Migration } from './migration.ts';

/** The tables that make up the policy, with the columns that identify a row. */
const WATCHED = {
  substrate_policy: ['version', 'timezone'],
  substrate_targets: ['name', 'provider', 'base_url', 'credential'],
  substrate_routing_config: ['role', 'dispatch', 'position', 'target', 'model', 'tier', 'limits'],
  substrate_prices: ['target', 'model', 'source', 'edition', 'input', 'output', 'cached_input', 'cache_write'],
  substrate_ceilings: ['scope', 'window', 'limit_micro_usd'],
} as const;

function rowOf(alias: 'old' | 'new', columns: readonly string[]): string {
  return `json_object(${columns.map((column) => `'${column}', ${alias}.${column}`).join(', ')})`;
}

/** Every edit is recorded in the editor's own transaction, whoever the editor is. */
function triggers(table: string, columns: readonly string[]): string {
  const record = (before: string, after: string): string =>
    `INSERT INTO policy_change (at_ms, source_table, before, after)
       VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), '${table}', ${before}, ${after});`;
  const [before, after] = [rowOf('old', columns), rowOf('new', columns)];
  return `
    CREATE TRIGGER ${table}_insert AFTER INSERT ON ${table} BEGIN ${record('NULL', after)} END;
    CREATE TRIGGER ${table}_update AFTER UPDATE ON ${table} BEGIN ${record(before, after)} END;
    CREATE TRIGGER ${table}_delete AFTER DELETE ON ${table} BEGIN ${record(before, 'NULL')} END;`;
}

/** The owner's policy as rows, its versions, and the record of every edit. */
export const policy: Migration = {
  version: 3,
  name: 'policy',
  sql: `
    CREATE TABLE substrate_policy (
      id       INTEGER PRIMARY KEY CHECK (id = 1),
      version  INTEGER NOT NULL,
      timezone TEXT NOT NULL
    ) STRICT;

    CREATE TABLE substrate_targets (
      name       TEXT PRIMARY KEY,
      provider   TEXT NOT NULL,
      base_url   TEXT NOT NULL,
      credential TEXT
    ) STRICT;

    CREATE TABLE substrate_routing_config (
      role     TEXT NOT NULL,
      dispatch TEXT NOT NULL,
      position INTEGER NOT NULL,
      target   TEXT NOT NULL,
      model    TEXT NOT NULL,
      tier     INTEGER NOT NULL,
      limits   TEXT NOT NULL DEFAULT '{}',
      PRIMARY KEY (role, position)
    ) STRICT;

    CREATE TABLE substrate_prices (
      target       TEXT NOT NULL,
      model        TEXT NOT NULL,
      source       TEXT NOT NULL,
      edition      TEXT NOT NULL,
      input        INTEGER NOT NULL,
      output       INTEGER NOT NULL,
      cached_input INTEGER NOT NULL,
      cache_write  INTEGER NOT NULL,
      PRIMARY KEY (target, model, source)
    ) STRICT;

    CREATE TABLE substrate_ceilings (
      scope           TEXT NOT NULL,
      window          TEXT NOT NULL,
      limit_micro_usd INTEGER NOT NULL,
      PRIMARY KEY (scope, window)
    ) STRICT;

    CREATE TABLE substrate_policy_versions (
      version    INTEGER PRIMARY KEY,
      applied_at INTEGER NOT NULL,
      document   TEXT NOT NULL,
      hash       TEXT NOT NULL
    ) STRICT;

    CREATE TABLE policy_change (
      id              INTEGER PRIMARY KEY,
      at_ms           INTEGER NOT NULL,
      source_table    TEXT NOT NULL,
      before          TEXT,
      after           TEXT,
      origin          TEXT,
      receipt         INTEGER,
      acknowledged_at INTEGER
    ) STRICT;
    CREATE INDEX policy_change_outside ON policy_change (id) WHERE receipt IS NULL;
    ${Object.entries(WATCHED)
      .map(([table, columns]) => triggers(table, columns))
      .join('\n')}
  `,
};
