/**
 * Models that sit out: a provider asked to be left alone for a while, or a model reported more than
 * the bound it was admitted under. Written by the operation that settles the attempt.
 */
import { isoTime } from './sources.ts';
import type { Reading, ReadHandle, Row, WriteHandle } from './store/store.ts';

/** Why, and until when, a model of a target is not asked. */
export interface Benched {
  readonly target: string;
  readonly model: string;
  readonly reason: 'rate_limited' | 'overloaded' | 'bound_exceeded';
  /** Milliseconds since the epoch; null: until the policy changes. */
  readonly untilMs: number | null;
  /** The policy under which it was benched. */
  readonly policyVersion: string;
}

interface BenchedRow extends Row {
  readonly target: string;
  readonly model: string;
  readonly reason: Benched['reason'];
  readonly until_ms: number | null;
  readonly policy_version: string;
}

/** Benches one model of a target, in place of what was said of it before. */
export async function bench(
  tx: WriteHandle,
  { target, model, reason, untilMs, policyVersion }: Benched,
): Promise<void> {
  await tx.run(
    'REPLACE INTO substrate_benched (target, model, reason, until_ms, policy_version) VALUES (?, ?, ?, ?, ?)',
    target,
    model,
    reason,
    untilMs,
    policyVersion,
  );
}

/** Why a model sits out, and until when, as one sentence. */
export function whyBenched({ reason, untilMs }: Benched): string {
  if (reason === 'bound_exceeded') return 'It cost more than its bound; it sits out until the policy changes.';
  return `It asked to be left alone (${reason}) until ${isoTime(untilMs ?? 0)}.`;
}

/** What is said of a model of a target among those that sit out; undefined where it does not. */
export function benchOf(
  benched: readonly Benched[],
  { target, model }: { readonly target: string; readonly model: string },
): Benched | undefined {
  return benched.find((one) => one.target === target && (one.model === model || one.model === '*'));
}

/** Who was benched and has not been benched anew since; at most one row for each model. */
export const ALL_BENCHED: Reading<readonly Benched[]> = {
  tables: ['substrate_benched'],
  read: async (db) => {
    const rows = await db.all<BenchedRow>(
      'SELECT target, model, reason, until_ms, policy_version FROM substrate_benched',
    );
    return rows.map(({ target, model, reason, until_ms: untilMs, policy_version }) => ({
      target,
      model,
      reason,
      untilMs,
      policyVersion: policy_version,
    }));
  },
};

/** Who sits out now, under this policy. */
export async function listBenched(db: ReadHandle, now: number, policyVersion: string): Promise<Benched[]> {
  const all = await db.recall(ALL_BENCHED);
  return all.filter((one) => (one.untilMs === null ? one.policyVersion === policyVersion : one.untilMs > now));
}
