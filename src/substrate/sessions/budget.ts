/**
 * A session's money. Its budget is a ceiling over its life, counted by the ledger under `session:ID` in
 * the transaction that admits a call; a handing over moves what is left and copies nothing.
 */
import { headroom } from '../ledger/ledger.ts';
import type { Ceiling } from '../policy/model.ts';
import type { ReadHandle } from '../store/store.ts';
import type { Session } from './model.ts';

/** The ceiling that a session's budget is; none where it has no budget of its own. */
export function budgetCeilings({ id, budgetMicroUsd }: Session): Ceiling[] {
  if (budgetMicroUsd === null) return [];
  return [{ name: 'the session’s budget', scope: `session:${id}`, window: 'life', limitMicroUsd: budgetMicroUsd }];
}

/** What a session's calls have cost so far, what is held for those under way included; whole micro-dollars. */
export async function usedMicroUsd(db: ReadHandle, id: string, now: number): Promise<number> {
  const life: Ceiling = { name: id, scope: `session:${id}`, window: 'life', limitMicroUsd: Number.MAX_SAFE_INTEGER };
  const spender = { role: '', agent: '', session: id, labels: {} };
  const { tightest } = await headroom(db, { spender, ceilings: [life], timezone: 'UTC', now });
  return tightest === null ? 0 : tightest.spentMicroUsd + tightest.heldMicroUsd;
}
