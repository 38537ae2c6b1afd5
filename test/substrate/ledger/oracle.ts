/**
 * The ledger once more, as naively as it can be said: a list of attempts, and every question answered by
 * going through all of them.
 */
import type { Spender } from '../../../src/substrate/ledger/model.ts';
import type { Ceiling, CeilingWindow } from '../../../src/substrate/policy/model.ts';

interface Attempt {
  readonly id: string;
  readonly day: string;
  readonly spender: Spender;
  readonly bound: number;
  cost: number | null;
}

export interface Asked {
  readonly id: string;
  readonly spender: Spender;
  /** Fixed part, price of one token, and tokens: most and least. */
  readonly fixed: number;
  readonly perToken: number;
  readonly most: number;
  readonly least: number;
}

export type Verdict =
  | { readonly admitted: true; readonly tokens: number; readonly bound: number }
  | { readonly admitted: false; readonly ceiling: string; readonly spent: number; readonly held: number };

function localDate(now: number, zone: string): string {
  // Sweden writes dates as ISO 8601 does.
  return new Date(now).toLocaleDateString('sv-SE', { timeZone: zone });
}

/** Weeks counted from a Monday long ago. */
function weekOf(day: string): number {
  return Math.floor((Date.parse(day) - Date.parse('1970-01-05')) / (7 * 24 * 3_600_000));
}

function inWindow(window: CeilingWindow, day: string, today: string): boolean {
  if (window === 'call') return false;
  if (window === 'day') return day === today;
  if (window === 'week') return weekOf(day) === weekOf(today);
  if (window === 'month') return day.slice(0, 7) === today.slice(0, 7);
  return true;
}

/** Whose sum a ceiling means for this spender: a word that is equal for those who share a limit. */
export function shareOf(scope: string, { role, agent, session, labels }: Spender): string | null {
  if (scope === 'seed') return 'everybody';
  const [kind = '', name = ''] = scope.split(':');
  if (kind === 'label') {
    const [key = '', value] = name.split('=');
    const own = labels[key] ?? '';
    return value === '*' || value === own ? own : null;
  }
  const own = { role, agent, session }[kind as 'role' | 'agent' | 'session'];
  return own !== null && (name === '*' || name === own) ? own : null;
}

export class Oracle {
  readonly attempts: Attempt[] = [];
  #today = '';
  #zones = new Set<string>();

  /** A day goes on until it is over in every zone that spending was admitted under during it. */
  today(now: number, zone: string): string {
    const isOver = [...this.#zones, zone].every((each) => localDate(now, each) > this.#today);
    return isOver ? localDate(now, zone) : this.#today;
  }

  sum(ceiling: Ceiling, spender: Spender, today: string): { spent: number; held: number } {
    const share = shareOf(ceiling.scope, spender);
    let [spent, held] = [0, 0];
    for (const attempt of this.attempts) {
      if (shareOf(ceiling.scope, attempt.spender) !== share || !inWindow(ceiling.window, attempt.day, today)) continue;
      if (attempt.cost === null) held += attempt.bound;
      else spent += attempt.cost;
    }
    return { spent, held };
  }

  admit(asked: Asked, { ceilings, zone, now }: { ceilings: readonly Ceiling[]; zone: string; now: number }): Verdict {
    const today = this.today(now, zone);
    let least: { ceiling: Ceiling; left: number; spent: number; held: number } | null = null;
    for (const ceiling of ceilings) {
      if (shareOf(ceiling.scope, asked.spender) === null) continue;
      const { spent, held } = this.sum(ceiling, asked.spender, today);
      const left = ceiling.limitMicroUsd - spent - held;
      if (least === null || left < least.left) least = { ceiling, left, spent, held };
    }
    let tokens = asked.most;
    if (least !== null) {
      while (tokens >= 0 && asked.fixed + tokens * asked.perToken > least.left) tokens--;
      if (tokens < Math.min(asked.least, asked.most)) {
        return { admitted: false, ceiling: least.ceiling.name, spent: least.spent, held: least.held };
      }
    }
    const bound = asked.fixed + tokens * asked.perToken;
    if (today !== this.#today) this.#zones = new Set();
    this.#today = today;
    this.#zones.add(zone);
    this.attempts.push({ id: asked.id, day: today, spender: asked.spender, bound, cost: null });
    return { admitted: true, tokens, bound };
  }

  settle(id: string, cost: number): { day: string; bound: number } | 'conflict' | 'not_found' {
    const attempt = this.attempts.find((each) => each.id === id);
    if (attempt === undefined) return 'not_found';
    if (attempt.cost !== null) return 'conflict';
    attempt.cost = cost;
    return { day: attempt.day, bound: attempt.bound };
  }

  /** What a crash leaves: everything that is held is spent. */
  recover(): number {
    const open = this.attempts.filter(({ cost }) => cost === null);
    for (const attempt of open) attempt.cost = attempt.bound;
    return open.length;
  }
}
