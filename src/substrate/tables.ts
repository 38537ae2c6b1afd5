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
  substrate_receipts_by_grant: ['log'],
  substrate_receipts_by_outcome: ['log'],
  // Put by the operation whose receipt names its hash; erased by retention when its time has come.
  substrate_content: ['operation', 'maintenance'],
  // Where each piece of it stands; written by its triggers alone.
  substrate_content_shelves: ['schema'],
  // A daily sample of the file's size; nothing is decided by it.
  substrate_growth: ['maintenance'],
  substrate_grants: ['operation'],
  // Presence: when a grant was last used, and how often.
  substrate_grant_use: ['maintenance'],
  // A replay cache, written with the receipt of the token given out; what expired is dropped.
  substrate_assertions: ['operation', 'maintenance'],
  substrate_requests: ['operation'],
  substrate_switches: ['operation'],
  substrate_policy: ['operation'],
  substrate_targets: ['operation'],
  substrate_routing_config: ['operation'],
  substrate_prices: ['operation'],
  substrate_ceilings: ['operation'],
  substrate_notices: ['operation'],
  substrate_policy_versions: ['operation'],
  policy_change: ['operation'],
  substrate_ledger: ['operation'],
  substrate_spending: ['operation'],
  substrate_ledger_day: ['operation'],
  substrate_calls: ['operation'],
  substrate_benched: ['operation'],
  // Sent and settled by operations; leases, expiry and retention are upkeep.
  substrate_inboxes: ['operation', 'maintenance'],
  substrate_messages: ['operation', 'maintenance'],
  substrate_settled_messages: ['operation', 'maintenance'],
  substrate_send_keys: ['operation', 'maintenance'],
  substrate_topics: ['operation'],
  substrate_memories: ['operation'],
  substrate_memory_spaces: ['operation'],
  substrate_memory_threads: ['operation'],
  substrate_memory_writers: ['operation'],
  substrate_memory_index: ['operation'],
  // What the index is made of; written by SQLite alone, when the index is.
  substrate_memory_index_config: ['schema'],
  substrate_memory_index_content: ['schema'],
  substrate_memory_index_data: ['schema'],
  substrate_memory_index_docsize: ['schema'],
  substrate_memory_index_idx: ['schema'],
  substrate_sessions: ['operation'],
  // Renewed by whatever the holder does; nothing but who may take over a silent session hangs on it.
  substrate_session_leases: ['operation', 'maintenance'],
  substrate_session_messages: ['operation'],
  substrate_session_keys: ['operation'],
  substrate_session_tools: ['operation'],
  substrate_session_hops: ['operation'],
  substrate_handoffs: ['operation'],
  substrate_session_imports: ['operation'],
  // What an import has read so far; it counts for nothing before the operation that copies it over.
  substrate_staged_messages: ['maintenance'],
  substrate_staged_tools: ['maintenance'],
  substrate_gateway_models: ['operation'],
  substrate_conversations: ['operation'],
  substrate_tasks: ['operation'],
  // What the owner was told, with the receipt of the telling; what is long past is dropped.
  substrate_told: ['operation', 'maintenance'],
  substrate_task_needs: ['operation'],
  substrate_task_events: ['operation'],
  substrate_worker_runs: ['operation'],
  substrate_worker_hold: ['operation'],
  substrate_worker_settings: ['operation'],
  substrate_schedules: ['operation'],
  substrate_occurrences: ['operation'],
  // Added and removed by operations; how far it has read, and what was in its way, is an observation.
  substrate_probes: ['operation', 'maintenance'],
  substrate_subsystems: ['operation'],
  // What probes saw outside: observations, which can be read again where they were made; an operation that
  // takes a probe away drops them.
  substrate_completions: ['operation', 'maintenance'],
  // Where coherence only watches, an alarm changes nothing; where it may act, it is raised by an operation.
  substrate_alarms: ['operation', 'maintenance'],
  // What was found, for whoever looks back; nothing is decided by it.
  substrate_coherence_history: ['operation', 'maintenance'],
  substrate_mind_organs: ['operation'],
  substrate_mind_sorted: ['operation'],
  substrate_mind_syntheses: ['operation'],
  // How far the loop has looked at the receipts, and why it did what it did; nothing is decided by either.
  substrate_mind_cursor: ['maintenance'],
  substrate_mind_log: ['maintenance'],
};

// OR ROLLBACK would end the transaction of the whole group; only one driver refuses a second statement.
const WRITE =
  /^\s*(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)\s+(\w+)\b(?!\s*\.)/i;
const NO_WRITE = /;|\bOR\s+ROLLBACK\b/i;
const READ = /^\s*(?:SELECT|WITH)\b/i;
const NO_READ = /;|\b(?:INSERT|UPDATE|DELETE)\b|\bREPLACE\s+INTO\b/i;

const COMMENT = /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/;
const QUOTED = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]/;
const COMMENT_OR_QUOTED = new RegExp(`${COMMENT.source}|${QUOTED.source}`, 'g');

/** A statement without what is no keyword: comments gone, each quoted part a question mark. */
function bare(sql: string): string {
  return sql.replace(COMMENT_OR_QUOTED, (part) => (part.startsWith('--') || part.startsWith('/*') ? ' ' : '?'));
}

/** Tables that say who may come in: what was read of them holds until one of them is written. */
const ACCESS_TABLES = new Set(['substrate_grants', 'substrate_switches']);

/** Whether a table says who may come in. */
export function saysWhoMayComeIn(table: string): boolean {
  return ACCESS_TABLES.has(table);
}

/** Statements that were looked at, each with the table that it writes. */
const allowed: Readonly<Record<'operation' | 'maintenance', Map<string, string>>> = {
  operation: new Map(),
  maintenance: new Map(),
};

/**
 * The table that the statement writes; what its triggers write comes with it.
 *
 * @throws SeedError `volatile_only` unless `writer` may run it
 */
export function assertWritable(sql: string, writer: 'operation' | 'maintenance'): string {
  const known = allowed[writer].get(sql);
  if (known !== undefined) return known;
  const statement = bare(sql);
  const table = NO_WRITE.test(statement) ? undefined : WRITE.exec(statement)?.[1];
  if (table === undefined || !Object.hasOwn(TABLE_WRITERS, table) || !TABLE_WRITERS[table]?.includes(writer)) {
    throw new SeedError(
      'volatile_only',
      `${writer === 'operation' ? 'An operation' : 'Maintenance'} may not write ${table ?? 'this way'}.`,
      {
        hint: 'Change receipted state by operate(), volatile state by maintain(); see src/substrate/tables.ts.',
      },
    );
  }
  allowed[writer].set(sql, table);
  return table;
}

const readings = new Set<string>();

/** @throws SeedError `volatile_only` unless the statement only reads */
export function assertReading(sql: string): void {
  if (readings.has(sql)) return;
  const statement = bare(sql);
  if (!READ.test(statement) || NO_READ.test(statement)) {
    throw new SeedError('volatile_only', 'A read may only read.', { hint: 'Use SELECT here, run() to write.' });
  }
  readings.add(sql);
}
