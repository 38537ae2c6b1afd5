/**
 * What a ceiling does, shown on a real daemon with a simulated provider: many calls at once of which a
 * few can be paid for, and a call in the middle of which the daemon is killed.
 */
import { join } from 'node:path';
import type { Receipt } from '../../formats/receipt.ts';
import { verifyExportOrProof } from '../verify-path.ts';
import type { SimulatedProvider } from './provider.ts';
import type { Stage } from './stage.ts';

export const CALLS = 50;
/** Of one call, at most: its tokens are priced so, and its provider says that it had them all. */
export const BOUND_MICRO_USD = 100_000;
export const CEILING_MICRO_USD = 500_000;
export const RAISED_MICRO_USD = 1_000_000;

const TOKENS = 1_000;
const PRICE_MICRO_USD_PER_MTOK = (BOUND_MICRO_USD / TOKENS) * 1_000_000;
const RECEIPTS_MAX = 200;

export interface Money {
  readonly spent_micro_usd: number;
  readonly held_micro_usd: number;
}

/** A refusal as its receipt tells it. */
export interface Refusal extends Money {
  readonly receipt: number;
  readonly code: string;
  readonly ceiling: string;
  readonly limit_micro_usd: number;
}

/** The first act: more calls at once than the ceiling pays for. */
export interface Rush {
  readonly calls: number;
  readonly admitted: number;
  readonly refused: number;
  /** Requests that the provider saw. */
  readonly requests: number;
  /** While the provider had not answered yet, and afterwards. */
  readonly under_way: Money;
  readonly settled: Money;
  readonly refusals: readonly Refusal[];
}

/** The second act: the daemon is killed while the provider is thinking. */
export interface Crash {
  readonly before: Money;
  readonly after: Money;
  /** The receipt by which the next start settled what nobody knows. */
  readonly receipt: number | null;
  readonly of: number | null;
  readonly outcome: string | null;
  readonly code: string | null;
}

export interface Proof {
  readonly verdict: string;
  readonly receipts: number;
}

interface CallView {
  readonly status: string;
}

/** The owner's policy: one model, one role, one ceiling. */
function policyFile(url: string, ceilingMicroUsd: number): string {
  const usd = (microUsd: number): string => (microUsd / 1e6).toFixed(6);
  const prices = { input_usd_per_mtok: '0', output_usd_per_mtok: usd(PRICE_MICRO_USD_PER_MTOK) };
  return JSON.stringify({
    version: 1,
    targets: { simulated: { provider: 'nvidia', base_url: url } },
    roles: {
      demo: {
        dispatch: 'any',
        max_output_tokens: TOKENS,
        min_output_tokens: TOKENS,
        candidates: [{ target: 'simulated', model: 'a-model', tier: 2 }],
      },
    },
    ceilings: [{ scope: 'seed', window: 'day', usd: usd(ceilingMicroUsd) }],
    prices: [{ target: 'simulated', model: 'a-model', ...prices }],
  });
}

async function setCeiling(stage: Stage, { url }: SimulatedProvider, microUsd: number): Promise<void> {
  await stage.ask('policy_apply', { document: policyFile(url, microUsd) });
}

async function moneyOf(stage: Stage): Promise<Money> {
  const { spent_micro_usd, held_micro_usd } = await stage.ask<Money>('route_usage', { period: 'day' });
  return { spent_micro_usd, held_micro_usd };
}

function callModel(stage: Stage, text: string): Promise<CallView> {
  return stage.ask<CallView>('route_complete', { role: 'demo', messages: [{ role: 'user', content: text }] });
}

async function routeReceipts(stage: Stage): Promise<readonly Receipt[]> {
  const filter = { action: 'route.attempt', order: 'oldest', limit: RECEIPTS_MAX };
  return (await stage.ask<{ receipts: readonly Receipt[] }>('receipt_list', filter)).receipts;
}

/** Asks fifty times at once; the provider answers when each call is either with it or refused. */
export async function rush(stage: Stage, provider: SimulatedProvider): Promise<Rush> {
  await setCeiling(stage, provider, CEILING_MICRO_USD);
  let refused = 0;
  const calls = Array.from({ length: CALLS }, async (_, index) => {
    const call = await callModel(stage, `Call ${index + 1}: how much is left?`);
    if (call.status === 'refused') refused += 1;
    provider.look();
    return call;
  });
  const decided = provider.until(() => provider.seen() + refused >= CALLS);
  await Promise.race([decided, Promise.all(calls)]);
  const underWay = await moneyOf(stage);
  provider.answer(true);
  const ended = await Promise.all(calls);
  const receipts = await routeReceipts(stage);
  return {
    calls: CALLS,
    admitted: ended.filter(({ status }) => status === 'complete').length,
    refused,
    requests: provider.seen(),
    under_way: underWay,
    settled: await moneyOf(stage),
    refusals: receipts.filter(({ outcome }) => outcome === 'refused').map(refusalOf),
  };
}

function refusalOf({ seq, code, detail }: Receipt): Refusal {
  const { ceiling, spent_micro_usd, held_micro_usd, limit_micro_usd } = detail;
  return {
    receipt: seq,
    code: code ?? '',
    ceiling: typeof ceiling === 'string' ? ceiling : '',
    spent_micro_usd: Number(spent_micro_usd),
    held_micro_usd: Number(held_micro_usd),
    limit_micro_usd: Number(limit_micro_usd),
  };
}

/** One more call under a higher ceiling; while the provider has it, the daemon is killed and started again. */
export async function crash(stage: Stage, provider: SimulatedProvider): Promise<Crash> {
  await setCeiling(stage, provider, RAISED_MICRO_USD);
  provider.answer(false);
  const seen = provider.seen();
  // It is cut off: that is what is shown.
  const lost = callModel(stage, 'And this one?').catch(() => null);
  await Promise.race([provider.until(() => provider.seen() > seen), lost]);
  const before = await moneyOf(stage);
  await stage.kill();
  await lost;
  await stage.start();
  const settled = (await routeReceipts(stage)).findLast(({ of }) => of !== null);
  const { seq = null, of = null, outcome = null, code = null } = settled ?? {};
  return { before, after: await moneyOf(stage), receipt: seq, of, outcome, code };
}

/** All receipts, checked as anybody could who has the root of trust. */
export async function prove(stage: Stage): Promise<Proof> {
  const out = join(stage.folder, 'receipts');
  await stage.ask('receipt_export', { out });
  const root = join(stage.home, 'root', '1.json');
  const { verdict, size } = await verifyExportOrProof(out, { root }, () => {});
  return { verdict, receipts: size };
}

/** Whether everything went as a ceiling promises. */
export function isAsPromised({
  rush: first,
  crash: second,
  proof,
}: {
  rush: Rush;
  crash: Crash;
  proof: Proof;
}): boolean {
  const affordable = Math.floor(CEILING_MICRO_USD / BOUND_MICRO_USD);
  return (
    first.admitted === affordable &&
    first.requests === affordable &&
    first.refused === CALLS - affordable &&
    first.refusals.length === first.refused &&
    first.settled.spent_micro_usd <= CEILING_MICRO_USD &&
    first.settled.held_micro_usd === 0 &&
    second.before.held_micro_usd === BOUND_MICRO_USD &&
    second.after.held_micro_usd === 0 &&
    second.after.spent_micro_usd === first.settled.spent_micro_usd + BOUND_MICRO_USD &&
    second.outcome === 'incomplete' &&
    proof.verdict === 'proven'
  );
}
