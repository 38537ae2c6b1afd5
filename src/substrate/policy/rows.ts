/**
 * The policy as its rows: what the tables hold, read whole, and brought to what it should be with no
 * more edits than needed.
 */
import * as z from 'zod';
import type { Operation } from '../operation.ts';
import type { ReadHandle, Row, Value } from '../store/store.ts';
import {
  BaseUrl,
  ContextTokens,
  Dispatch,
  Edition,
  LimitMicroUsd,
  Model,
  Name,
  NoticeEventField,
  POLICY_LIMITS,
  PriceMicroUsd,
  Provider,
  ScopeField,
  TierField,
  Timezone,
  Window,
} from './fields.ts';

export interface TargetRow extends Row {
  readonly name: string;
  readonly provider: string;
  readonly base_url: string;
  readonly credential: string | null;
}

/** One candidate of a role; `dispatch` and `limits` are the same in each row of a role. */
export interface RoutingRow extends Row {
  readonly role: string;
  readonly dispatch: string;
  readonly position: number;
  readonly target: string;
  readonly model: string;
  readonly tier: number;
  /** Tokens that the model takes in and gives out together; null where the owner does not say. */
  readonly context_tokens: number | null;
  readonly limits: string;
}

/** Micro-dollars for a million tokens; null counts as plain input. */
export interface PriceRow extends Row {
  readonly target: string;
  readonly model: string;
  readonly source: string;
  readonly edition: string;
  readonly input: number;
  readonly output: number;
  readonly cached_input: number | null;
  readonly cache_write: number | null;
}

export interface CeilingRow extends Row {
  readonly scope: string;
  readonly window: string;
  readonly limit_micro_usd: number;
}

export interface NoticeRow extends Row {
  readonly event: string;
  readonly notifier: string;
}

interface TimezoneRow extends Row {
  readonly timezone: string;
}

/** Everything that the owner decides, as rows; whether they make sense is another question. */
export interface PolicyRows {
  /** Null where the owner named none. */
  readonly timezone: string | null;
  readonly targets: readonly TargetRow[];
  readonly routing: readonly RoutingRow[];
  readonly prices: readonly PriceRow[];
  readonly ceilings: readonly CeilingRow[];
  readonly notices: readonly NoticeRow[];
}

export const TargetFields = z.object({
  name: Name,
  provider: Provider,
  base_url: BaseUrl,
  credential: Name.nullable(),
});
export const RoutingFields = z.object({
  role: Name,
  dispatch: Dispatch,
  position: z.int().min(0),
  target: Name,
  model: Model,
  tier: TierField,
  context_tokens: ContextTokens.nullable(),
  limits: z.string().max(2_000),
});
export const PriceFields = z.object({
  target: Name,
  model: Model,
  source: z.enum(['owner', 'catalogue', 'local']),
  edition: Edition,
  input: PriceMicroUsd,
  output: PriceMicroUsd,
  cached_input: PriceMicroUsd.nullable(),
  cache_write: PriceMicroUsd.nullable(),
});
export const CeilingFields = z.object({ scope: ScopeField, window: Window, limit_micro_usd: LimitMicroUsd });
export const NoticeFields = z.object({ event: NoticeEventField, notifier: Name });
export const TimezoneFields = z.object({ timezone: Timezone });

/** Rows of one table that are read at most; more of them make the whole policy unreadable. */
export const ROWS_MAX: number = 2 * POLICY_LIMITS.roles * POLICY_LIMITS.candidatesPerRole;

/** Every row, in the order in which a person would list them. */
export async function readPolicyRows(db: ReadHandle): Promise<PolicyRows> {
  const limit = ROWS_MAX + 1;
  const zone = await db.get<TimezoneRow>('SELECT timezone FROM substrate_policy');
  return {
    timezone: zone?.timezone ?? null,
    targets: await db.all<TargetRow>(
      'SELECT name, provider, base_url, credential FROM substrate_targets ORDER BY name LIMIT ?',
      limit,
    ),
    routing: await db.all<RoutingRow>(
      `SELECT role, dispatch, position, target, model, tier, context_tokens, limits FROM substrate_routing_config
       ORDER BY role, position LIMIT ?`,
      limit,
    ),
    prices: await db.all<PriceRow>(
      `SELECT target, model, source, edition, input, output, cached_input, cache_write FROM substrate_prices
       ORDER BY target, model, source LIMIT ?`,
      limit,
    ),
    ceilings: await db.all<CeilingRow>(
      'SELECT scope, window, limit_micro_usd FROM substrate_ceilings ORDER BY scope, window LIMIT ?',
      limit,
    ),
    notices: await db.all<NoticeRow>(
      'SELECT event, notifier FROM substrate_notices ORDER BY event, notifier LIMIT ?',
      limit,
    ),
  };
}

/** A table with the columns that identify a row, first, and the others. */
interface Shape {
  readonly table: string;
  readonly key: readonly string[];
  readonly rest: readonly string[];
}

const SHAPES = {
  timezone: { table: 'substrate_policy', key: ['id'], rest: ['timezone'] },
  targets: { table: 'substrate_targets', key: ['name'], rest: ['provider', 'base_url', 'credential'] },
  routing: {
    table: 'substrate_routing_config',
    key: ['role', 'position'],
    rest: ['dispatch', 'target', 'model', 'tier', 'context_tokens', 'limits'],
  },
  prices: {
    table: 'substrate_prices',
    key: ['target', 'model', 'source'],
    rest: ['edition', 'input', 'output', 'cached_input', 'cache_write'],
  },
  ceilings: { table: 'substrate_ceilings', key: ['scope', 'window'], rest: ['limit_micro_usd'] },
  notices: { table: 'substrate_notices', key: ['event', 'notifier'], rest: [] },
} as const satisfies Record<string, Shape>;

/** Brings every table to these rows; a row that is right already is left alone. */
export async function writePolicyRows(op: Operation, rows: PolicyRows): Promise<void> {
  const zone = rows.timezone === null ? [] : [{ id: 1, timezone: rows.timezone }];
  await sync(op, SHAPES.timezone, zone);
  await sync(op, SHAPES.targets, rows.targets);
  await sync(op, SHAPES.routing, rows.routing);
  await sync(op, SHAPES.prices, rows.prices);
  await sync(op, SHAPES.ceilings, rows.ceilings);
  await sync(op, SHAPES.notices, rows.notices);
}

/** Brings the prices alone to these rows. */
export function writePriceRows(op: Operation, prices: readonly PriceRow[]): Promise<void> {
  return sync(op, SHAPES.prices, prices);
}

async function sync(op: Operation, { table, key, rest }: Shape, wanted: readonly Row[]): Promise<void> {
  const columns = [...key, ...rest];
  const valuesOf = (row: Row, names: readonly string[]): Value[] => names.map((name) => row[name] ?? null);
  const idOf = (row: Row): string => JSON.stringify(valuesOf(row, key));
  const missing = new Map(wanted.map((row) => [idOf(row), row]));
  const where = key.map((name) => `${name} = ?`).join(' AND ');
  for (const row of await op.all(`SELECT ${columns.join(', ')} FROM ${table}`)) {
    const right = missing.get(idOf(row));
    missing.delete(idOf(row));
    if (right === undefined) await op.run(`DELETE FROM ${table} WHERE ${where}`, ...valuesOf(row, key));
    else if (JSON.stringify(valuesOf(row, rest)) !== JSON.stringify(valuesOf(right, rest))) {
      const set = rest.map((name) => `${name} = ?`).join(', ');
      await op.run(`UPDATE ${table} SET ${set} WHERE ${where}`, ...valuesOf(right, rest), ...valuesOf(row, key));
    }
  }
  const places = columns.map(() => '?').join(', ');
  for (const row of missing.values()) {
    await op.run(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places})`, ...valuesOf(row, columns));
  }
}
