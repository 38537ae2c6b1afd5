/** Admissions and settlements as the router makes them: each in an operation with its receipt. */
import { expect } from 'vitest';
import type { Admission } from '../../../src/substrate/ledger/ledger.ts';
import { admit, settle } from '../../../src/substrate/ledger/ledger.ts';
import type { Bound, Hold, Settlement, Spender } from '../../../src/substrate/ledger/model.ts';
import type { Ceiling, CeilingWindow } from '../../../src/substrate/policy/model.ts';
import type { ReadHandle, Substrate } from '../../../src/substrate/substrate.ts';
import { CURSOR } from '../../support/home.ts';

export const ATTEMPT = { action: 'route.attempt', actor: CURSOR } as const;

export const SPENDER: Spender = { role: 'worker', agent: 'cursor', session: null, labels: {} };

/** A bound of one amount that cannot be clamped. */
export function fixed(microUsd: number): Bound {
  return { inputMicroUsd: microUsd, outputMicroUsdPerMtok: 0, maxOutputTokens: 100, minOutputTokens: 100 };
}

export function ceiling(scope: string, window: CeilingWindow, limitMicroUsd: number): Ceiling {
  return { name: `${scope}/${window}`, scope, window, limitMicroUsd };
}

export type Asked = Partial<Admission> & { readonly id: string };

export function admission(asked: Asked): Admission {
  return {
    spender: SPENDER,
    bound: fixed(100),
    ceilings: [],
    timezone: 'Europe/Berlin',
    target: 'anthropic',
    model: 'a-model',
    priceVersion: 'owner:1',
    ...asked,
  };
}

/** Admits an attempt with an intent; resolves to its hold and the intent's number. */
export async function hold(substrate: Substrate, asked: Asked): Promise<Hold & { readonly intent: number }> {
  const { value, seq } = await substrate.operate(ATTEMPT, async (op) => {
    const held = await admit(op, admission(asked));
    const { id, boundMicroUsd: bound_micro_usd } = held;
    op.receipt({ outcome: 'intent', subject: { type: 'attempt', id }, detail: { bound_micro_usd } });
    return held;
  });
  return { ...value, intent: seq };
}

/** Settles an attempt with its outcome. */
export async function pay(
  substrate: Substrate,
  { id, intent }: { id: string; intent: number },
  costMicroUsd: number,
): Promise<Settlement> {
  const { value } = await substrate.operate(ATTEMPT, async (op) => {
    op.receipt({ of: intent, subject: { type: 'attempt', id }, detail: { cost_micro_usd: costMicroUsd } });
    return settle(op, { id, costMicroUsd, usage: null });
  });
  return value;
}

export interface SpendingRow {
  readonly scope: string;
  readonly day: string;
  readonly spent_micro_usd: number;
  readonly held_micro_usd: number;
  readonly [column: string]: string | number;
}

export function spendingRows(db: ReadHandle): Promise<SpendingRow[]> {
  return db.all<SpendingRow>('SELECT * FROM substrate_spending ORDER BY scope, day');
}

export interface Totals {
  readonly spent: number;
  readonly held: number;
}

/** The sum of a scope over all days. */
export async function totals(substrate: Pick<Substrate, 'read'>, scope = 'seed'): Promise<Totals> {
  const row = await substrate.read((db) =>
    db.get<{ spent: number; held: number }>(
      `SELECT coalesce(sum(spent_micro_usd), 0) AS spent, coalesce(sum(held_micro_usd), 0) AS held
       FROM substrate_spending WHERE scope = ?`,
      scope,
    ),
  );
  return { spent: row!.spent, held: row!.held };
}

/** The sums are exactly what the attempts say, whatever happened. */
export async function expectConserved(substrate: Pick<Substrate, 'read'>): Promise<void> {
  const { rows, attempts } = await substrate.read(async (db) => ({
    rows: await spendingRows(db),
    attempts: await db.all<{
      day: string;
      role: string;
      agent: string;
      session: string | null;
      labels: string;
      target: string;
      model: string;
      bound_micro_usd: number;
      cost_micro_usd: number | null;
    }>('SELECT * FROM substrate_ledger'),
  }));
  const expected = new Map<string, { spent: number; held: number }>();
  for (const attempt of attempts) {
    const { role, agent, session, labels, target, model, day, bound_micro_usd: bound, cost_micro_usd: cost } = attempt;
    const scopes = ['seed', `role:${role}`, `agent:${agent}`, `model:${target}/${model}`];
    if (session !== null) scopes.push(`session:${session}`);
    for (const [key, value] of Object.entries(JSON.parse(labels) as Record<string, string>)) {
      if (value !== '') scopes.push(`label:${key}`, `label:${key}=${value}`);
    }
    for (const scope of scopes) {
      const sum = expected.get(`${scope} ${day}`) ?? { spent: 0, held: 0 };
      expected.set(`${scope} ${day}`, { spent: sum.spent + (cost ?? 0), held: sum.held + (cost === null ? bound : 0) });
    }
  }
  const found = rows.map((row) => [
    `${row.scope} ${row.day}`,
    { spent: row.spent_micro_usd, held: row.held_micro_usd },
  ]);
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
}
