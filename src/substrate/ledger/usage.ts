/** What was spent and is held: under each ceiling in its present window, and by whom in a period. */
import type { Ceiling, CeilingWindow } from '../policy/model.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Days, LedgerDay } from './calendar.ts';
import { presentDay, windowDays, windowEnd } from './calendar.ts';
import type { CeilingUse } from './model.ts';
import type { Counted, ParsedScope } from './scope.ts';
import { countedLabel, nameOf, parseScope, SEED_SCOPE } from './scope.ts';
import type { Sum } from './sums.ts';
import { NEWEST_DAY, readSums } from './sums.ts';

export type UsagePeriod = Exclude<CeilingWindow, 'call'>;

export interface UsageQuestion {
  readonly ceilings: readonly Ceiling[];
  readonly timezone: string;
  /** ms since the epoch */
  readonly now: number;
  /** The calendar period, up to now, that spending by role, model, label and agent is summed over. */
  readonly period: UsagePeriod;
  /** Whose spending alone is told; null for everybody's. */
  readonly onlyAgent: string | null;
  /** Entries of each list, at most: those that spent most. */
  readonly limit: number;
}

/** What one role, model, label or agent spent. */
export interface Share extends Sum {
  /** As in its scope: `worker`, `anthropic/a-model`, `customer=acme`. */
  readonly name: string;
}

/** The first entries of a list, and how many there are in all. */
export interface Listed<T> {
  readonly entries: readonly T[];
  readonly total: number;
}

export interface Usage {
  /** The local day that is booked on now. */
  readonly day: string;
  /** First and last day of the period; null for all time. */
  readonly days: Days | null;
  readonly total: Sum;
  /** The ceilings that leave the least first, by share of the limit. */
  readonly ceilings: Listed<CeilingUse>;
  readonly roles: Listed<Share>;
  readonly models: Listed<Share>;
  readonly labels: Listed<Share>;
  readonly agents: Listed<Share>;
}

const NONE: Listed<never> = { entries: [], total: 0 };

/** Reads what was spent. Of `onlyAgent` only its total and the ceilings that name agents are told. */
export async function usage(db: ReadHandle, question: UsageQuestion): Promise<Usage> {
  const { timezone, now, period, onlyAgent, limit } = question;
  const present = presentDay(await db.recall(NEWEST_DAY), now, timezone);
  const days = periodDays(period, present.day);
  const scope = onlyAgent === null ? SEED_SCOPE : `agent:${onlyAgent}`;
  const [total = { spentMicroUsd: 0, heldMicroUsd: 0 }] = await readSums(db, [
    { counted: { scope, without: null }, days },
  ]);
  const shares = (prefix: string): Promise<Listed<Share>> =>
    onlyAgent === null ? listShares(db, { prefix, days, limit }) : Promise.resolve(NONE);
  return {
    day: present.day,
    days: period === 'life' ? null : days,
    total,
    ceilings: await listCeilings(db, question, present),
    roles: await shares('role:'),
    models: await shares('model:'),
    labels: await shares('label:'),
    agents: await shares('agent:'),
  };
}

function periodDays(period: UsagePeriod, day: string): Days {
  return windowDays(period, day) ?? { from: day, to: day };
}

interface ShareRow extends Row {
  readonly scope: string;
  readonly spent: number;
  readonly held: number;
  readonly total: number;
}

/** Of labels only those with a value; `label:KEY` is the sum of all of them. */
const SHARES = `SELECT scope, sum(spent_micro_usd) AS spent, sum(held_micro_usd) AS held, count(*) OVER () AS total
  FROM substrate_spending
  WHERE scope >= ? AND scope < ? AND day BETWEEN ? AND ? AND (scope NOT LIKE 'label:%' OR instr(scope, '=') > 0)
  GROUP BY scope HAVING spent + held > 0 ORDER BY spent + held DESC, scope LIMIT ?`;

interface SharesQuestion {
  readonly prefix: string;
  readonly days: Days;
  readonly limit: number;
}

async function listShares(db: ReadHandle, { prefix, days, limit }: SharesQuestion): Promise<Listed<Share>> {
  const rows = await db.all<ShareRow>(SHARES, prefix, afterPrefix(prefix), days.from, days.to, limit);
  return {
    entries: rows.map(({ scope, spent, held }) => ({
      name: scope.slice(scope.indexOf(':') + 1),
      spentMicroUsd: spent,
      heldMicroUsd: held,
    })),
    total: rows[0]?.total ?? 0,
  };
}

/** The first text after all that begin with this one. */
function afterPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

/** What each ceiling has left in its present window, the most used first, and the local day of now. */
export async function ceilingUses(
  db: ReadHandle,
  question: Omit<UsageQuestion, 'period' | 'onlyAgent'>,
): Promise<{ readonly day: string; readonly uses: Listed<CeilingUse> }> {
  const present = presentDay(await db.recall(NEWEST_DAY), question.now, question.timezone);
  return { day: present.day, uses: await listCeilings(db, { ...question, onlyAgent: null }, present) };
}

/** Every ceiling with each value that its `*` stands for and that spent anything. */
async function listCeilings(
  db: ReadHandle,
  { ceilings, timezone, onlyAgent, limit }: Omit<UsageQuestion, 'period'>,
  present: LedgerDay,
): Promise<Listed<CeilingUse>> {
  const uses: CeilingUse[] = [];
  let hidden = 0;
  for (const ceiling of ceilings) {
    const days = windowDays(ceiling.window, present.day);
    const { entries, total } = await countedUnder(db, ceiling, { days, onlyAgent, limit });
    const resetsAt = windowEnd(ceiling.window, present, timezone);
    const { name, limitMicroUsd } = ceiling;
    uses.push(...entries.map((counted) => ({ ceiling: name, ...counted, limitMicroUsd, resetsAt })));
    hidden += total - entries.length;
  }
  const sorted = uses.toSorted((a, b) => usedShare(b) - usedShare(a));
  return { entries: sorted.slice(0, limit), total: uses.length + hidden };
}

function usedShare({ spentMicroUsd, heldMicroUsd, limitMicroUsd }: CeilingUse): number {
  return (spentMicroUsd + heldMicroUsd) / Math.max(1, limitMicroUsd);
}

type Counting = Sum & { readonly scope: string };

interface Under {
  /** Null where a ceiling is on a single call and counts nothing. */
  readonly days: Days | null;
  readonly onlyAgent: string | null;
  readonly limit: number;
}

async function countedUnder(
  db: ReadHandle,
  { scope }: Ceiling,
  { days, onlyAgent, limit }: Under,
): Promise<Listed<Counting>> {
  const parsed = parseScope(scope);
  if (onlyAgent !== null) {
    const names = parsed.kind === 'agent' && (parsed.value === null || parsed.value === onlyAgent);
    return names ? one(db, { scope: `agent:${onlyAgent}`, without: null }, days) : NONE;
  }
  if (parsed.kind === 'label' && parsed.value !== null) return one(db, countedLabel(parsed.key, parsed.value), days);
  if (days === null || parsed.kind === 'seed' || parsed.value !== null) return one(db, { scope, without: null }, days);
  const values = await listValues(db, parsed, { prefix: scope.slice(0, -1), days, limit });
  // Nobody yet: the ceiling itself still shows.
  return values.total > 0 ? values : one(db, { scope, without: null }, null);
}

/** What a `*` stands for: every value that spent anything, calls without the label among them. */
async function listValues(db: ReadHandle, parsed: ParsedScope, question: SharesQuestion): Promise<Listed<Counting>> {
  const { prefix, days } = question;
  const { entries, total } = await listShares(db, question);
  const kind = prefix.slice(0, prefix.indexOf(':') + 1);
  const values = entries.map(({ name, ...sum }) => ({ scope: `${kind}${name}`, ...sum }));
  if (parsed.kind !== 'label') return { entries: values, total };
  const unlabelled = await one(db, countedLabel(parsed.key, ''), days);
  const any = unlabelled.entries.filter(({ spentMicroUsd, heldMicroUsd }) => spentMicroUsd + heldMicroUsd > 0);
  return { entries: [...values, ...any], total: total + any.length };
}

async function one(db: ReadHandle, counted: Counted, days: Days | null): Promise<Listed<Counting>> {
  const sums = days === null ? [] : await readSums(db, [{ counted, days }]);
  const { spentMicroUsd, heldMicroUsd } = sums[0] ?? { spentMicroUsd: 0, heldMicroUsd: 0 };
  return { entries: [{ scope: nameOf(counted), spentMicroUsd, heldMicroUsd }], total: 1 };
}
