/** The log read over again, with ceilings of one's own: who was let in, and who should not have been. */
import type { Receipt } from '../../../src/formats/receipt.ts';
import type { Spender } from '../../../src/substrate/ledger/model.ts';
import { shareOf } from '../../substrate/ledger/oracle.ts';
import type { Limit } from './plan.ts';

interface Sum {
  spent: number;
  held: number;
}

/** One attempt as its receipts tell it. */
export interface Attempt {
  readonly intent: Receipt;
  readonly outcome: Receipt | null;
  readonly bound: number;
  readonly cost: number | null;
}

export interface Replay {
  readonly attempts: readonly Attempt[];
  /** Admissions that left spent + held above a limit, in words. */
  readonly above: readonly string[];
  /** Refusals whose figures are not those of the log, or that had room for the least that was asked. */
  readonly wrongRefusals: readonly string[];
  /** How often each ceiling refused. */
  readonly refusals: ReadonlyMap<string, number>;
  /** How many windows of each ceiling were spent in. */
  readonly windows: ReadonlyMap<string, number>;
  readonly held: number;
}

const number = (value: unknown): number => (typeof value === 'number' ? value : Number.NaN);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function spenderOf({ actor, detail }: Receipt): Spender {
  const labels = (Array.isArray(detail['labels']) ? detail['labels'] : []).map((label) => text(label).split('='));
  return {
    role: text(detail['role']),
    agent: actor.id,
    session: null,
    labels: Object.fromEntries(labels) as Record<string, string>,
  };
}

/** Days only go forward, whatever the clock does. */
class Days {
  #newest = '';
  readonly #zone: string;

  constructor(zone: string) {
    this.#zone = zone;
  }

  of(time: string): string {
    const day = new Date(time).toLocaleDateString('sv-SE', { timeZone: this.#zone });
    if (day > this.#newest) this.#newest = day;
    return this.#newest;
  }
}

/** Goes through the receipts in their order; `limits` need not be those that were in force. */
export function replay(receipts: readonly Receipt[], limits: readonly Limit[], zone: string): Replay {
  const sums = new Map<string, Sum>();
  const open = new Map<number, { bound: number; under: Sum[] }>();
  const outcomes = new Map(receipts.filter(({ of }) => of !== null).map((receipt) => [receipt.of, receipt]));
  const days = new Days(zone);
  const [above, wrongRefusals, attempts]: [string[], string[], Attempt[]] = [[], [], []];
  const refusals = new Map<string, number>();

  /** The sums that a spender's money counts to, each with its limit. */
  const sumsOf = (receipt: Receipt): { limit: Limit; sum: Sum }[] => {
    const day = days.of(receipt.time);
    return limits.flatMap((limit) => {
      const share = shareOf(limit.scope, spenderOf(receipt));
      if (share === null) return [];
      // One call alone, with all of its attempts.
      const call = `call ${receipt.subject?.id ?? ''}`;
      const window = { call, day, month: day.slice(0, 7) }[limit.window];
      const key = `${limit.scope}/${limit.window}|${share}|${window}`;
      const sum = sums.get(key) ?? { spent: 0, held: 0 };
      sums.set(key, sum);
      return [{ limit, sum }];
    });
  };
  const admit = (receipt: Receipt): void => {
    const bound = number(receipt.detail['bound_micro_usd']);
    const applied = sumsOf(receipt);
    for (const { limit, sum } of applied) {
      sum.held += bound;
      if (sum.spent + sum.held <= limit.microUsd) continue;
      above.push(`receipt ${receipt.seq}: ${limit.scope}/${limit.window} ${sum.spent} + ${sum.held}`);
    }
    open.set(receipt.seq, { bound, under: applied.map(({ sum }) => sum) });
    const outcome = outcomes.get(receipt.seq) ?? null;
    const cost = outcome === null ? null : number(outcome.detail['cost_micro_usd']);
    attempts.push({ intent: receipt, outcome, bound, cost });
  };
  const settle = (of: number, receipt: Receipt): void => {
    const attempt = open.get(of);
    if (attempt === undefined) return;
    open.delete(of);
    for (const sum of attempt.under) {
      sum.held -= attempt.bound;
      sum.spent += number(receipt.detail['cost_micro_usd']);
    }
  };
  const refuse = (receipt: Receipt): void => {
    const { spent_micro_usd: spent, held_micro_usd: held, bound_micro_usd: bound } = receipt.detail;
    const ceiling = text(receipt.detail['ceiling']);
    refusals.set(ceiling, (refusals.get(ceiling) ?? 0) + 1);
    const found = sumsOf(receipt).find(({ limit }) => `${limit.scope}/${limit.window}` === ceiling);
    const isTrue =
      found !== undefined &&
      found.sum.spent === spent &&
      found.sum.held === held &&
      found.sum.spent + found.sum.held + number(bound) > found.limit.microUsd;
    if (!isTrue) wrongRefusals.push(`receipt ${receipt.seq}: ${JSON.stringify(receipt.detail)}`);
  };

  for (const receipt of receipts) {
    if (receipt.action !== 'route.attempt') continue;
    if (receipt.outcome === 'intent') admit(receipt);
    else if (receipt.of !== null) settle(receipt.of, receipt);
    else if (receipt.code === 'over_ceiling') refuse(receipt);
  }
  const windows = new Map<string, number>();
  for (const key of sums.keys()) {
    const [ceiling = ''] = key.split('|');
    windows.set(ceiling, (windows.get(ceiling) ?? 0) + 1);
  }
  const held = [...open.values()].reduce((sum, { bound }) => sum + bound, 0);
  return { attempts, above, wrongRefusals, refusals, windows, held };
}
