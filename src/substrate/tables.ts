/**
 * Who may write which table.
 *
 * Receipted state changes by `operate` alone, volatile state by `maintain`; the log's own tables
 * are written by neither. A table that is missing here cannot be written at all.
 */
import { SeedError } from '../errors.ts';

/** `operation`: with a receipt. `maintenance`: without one. `log`: the log itself. `schema`: migrations. */
export type Writer = 'operation' | 'maintenance' | 'log' | 'schema';

/** Every table of the database with its writers; the reason stands where a receipt is not needed. */
export const TABLE_WRITERS: Readonly<Record<string, readonly Writer[]>> = {
  substrate_migrations: ['schema'],
  substrate_receipts: ['log'],
  substrate_tree: ['log'],
  substrate_log: ['log'],
  // Put by the operation whose receipt names its hash; erased by retention when its time has come.
  substrate_content: ['operation', 'maintenance'],
  // A daily sample of the file's size; nothing is decided by it.
  substrate_growth: ['maintenance'],
  substrate_grants: ['operation'],
  // Presence: when a grant was last used, and how often.
  substrate_grant_use: ['maintenance'],
  // A replay cache: the ids of assertions that were used, until they expire.
  substrate_assertions: ['maintenance'],
  substrate_requests: ['operation'],
  substrate_switches: ['operation'],
};

const WRITE = /^\s*(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)\s+(\w+)/i;
const READ = /^\s*(?:SELECT|WITH)\b/i;

const allowed: Readonly<Record<'operation' | 'maintenance', Set<string>>> = {
  operation: new Set(),
  maintenance: new Set(),
};

/** @throws SeedError `volatile_only` unless `writer` may run this statement */
export function assertWritable(sql: string, writer: 'operation' | 'maintenance'): void {
  const known = allowed[writer];
  if (known.has(sql)) return;
  const table = WRITE.exec(sql)?.[1];
  if (table === undefined || !(TABLE_WRITERS[table] ?? []).includes(writer)) {
    throw new SeedError(
      'volatile_only',
      `${writer === 'operation' ? 'An operation' : 'Maintenance'} may not write ${table ?? 'this way'}.`,
      {
        hint: 'Change receipted state by operate(), volatile state by maintain(); see src/substrate/tables.ts.',
      },
    );
  }
  known.add(sql);
}

const readings = new Set<string>();

/** @throws SeedError `volatile_only` unless the statement only reads */
export function assertReading(sql: string): void {
  if (readings.has(sql)) return;
  if (!READ.test(sql) || /\b(?:INSERT|REPLACE)\s+INTO\b|\bUPDATE\s+\w+\s+SET\b|\bDELETE\s+FROM\b/i.test(sql)) {
    throw new SeedError('volatile_only', 'A read may only read.', { hint: 'Use SELECT here, run() to write.' });
  }
  readings.add(sql);
}
