/** The sums of `substrate_spending`: spent and held, by scope and local day. */
import { SeedError } from '../../errors.ts';
import type { Reading, ReadHandle, Row, WriteHandle } from '../store/store.ts';
import type { Days, LedgerDay } from './calendar.ts';
import { remember } from './remember.ts';
import type { Counted } from './scope.ts';
import { SEED_SCOPE } from './scope.ts';

export interface Sum {
  readonly spentMicroUsd: number;
  readonly heldMicroUsd: number;
}

interface SumRow extends Row {
  readonly at: number;
  readonly spent: number;
  readonly held: number;
}

/** Whose money, over which days. */
export interface Question {
  readonly counted: Counted;
  readonly days: Days;
}

/** Ranges in one statement: SQLite takes 500 terms of a compound. */
const RANGES_MAX = 200;

const RANGE = `SELECT ? AS at, coalesce(sum(spent_micro_usd), 0) AS spent, coalesce(sum(held_micro_usd), 0) AS held
  FROM substrate_spending WHERE scope = ? AND day BETWEEN ? AND ?`;

// One text for each number of parts: it is looked up by its text when it is run.
const rangesText = remember((count: string) => repeated(RANGE, Number(count), ' UNION ALL '));
const holdText = remember(
  (count: string) =>
    `INSERT INTO substrate_spending (scope, day, spent_micro_usd, held_micro_usd)
     VALUES ${repeated('(?, ?, 0, ?)', Number(count), ', ')}
     ON CONFLICT (scope, day) DO UPDATE SET held_micro_usd = held_micro_usd + excluded.held_micro_usd`,
);
const settleText = remember(
  (count: string) =>
    `UPDATE substrate_spending SET spent_micro_usd = spent_micro_usd + ?, held_micro_usd = held_micro_usd - ?
     WHERE scope IN (${repeated('?', Number(count), ', ')}) AND day = ?`,
);

function repeated(part: string, count: number, between: string): string {
  return Array.from({ length: count }, () => part).join(between);
}

/** The answers to all questions, in their order; one statement for as many as are usual. */
export async function readSums(db: ReadHandle, questions: readonly Question[]): Promise<Sum[]> {
  const sums = questions.map(() => ({ spentMicroUsd: 0, heldMicroUsd: 0 }));
  const ranges = questions.flatMap(({ counted: { scope, without }, days: { from, to } }, index) => [
    { index, sign: 1, params: [scope, from, to] },
    ...(without === null ? [] : [{ index, sign: -1, params: [without, from, to] }]),
  ]);
  for (let start = 0; start < ranges.length; start += RANGES_MAX) {
    const page = ranges.slice(start, start + RANGES_MAX);
    const rows = await db.all<SumRow>(
      rangesText(String(page.length)),
      ...page.flatMap(({ params }, at) => [at, ...params]),
    );
    for (const { at, spent, held } of rows) {
      const { index = 0, sign = 1 } = page[at] ?? {};
      const sum = sums[index];
      if (sum === undefined) continue;
      sum.spentMicroUsd += sign * spent;
      sum.heldMicroUsd += sign * held;
    }
  }
  return sums;
}

/** All money that is held for calls under way, in micro-dollars. */
export async function readHeldMicroUsd(db: ReadHandle): Promise<number> {
  const row = await db.get<{ held: number }>(
    'SELECT coalesce(sum(held_micro_usd), 0) AS held FROM substrate_spending WHERE scope = ?',
    SEED_SCOPE,
  );
  return row?.held ?? 0;
}

/** Holds money under every scope. */
export async function holdSums(
  tx: WriteHandle,
  scopes: readonly string[],
  day: string,
  heldMicroUsd: number,
): Promise<void> {
  await tx.run(holdText(String(scopes.length)), ...scopes.flatMap((scope) => [scope, day, heldMicroUsd]));
}

/** Gives back what was held under every scope, and books what was spent. */
export async function settleSums(
  tx: WriteHandle,
  { scopes, day, held, spent }: { scopes: readonly string[]; day: string; held: number; spent: number },
): Promise<void> {
  const changed = await tx.run(settleText(String(scopes.length)), spent, held, ...scopes, day);
  if (changed === scopes.length) return;
  throw new SeedError('internal', `${changed} of ${scopes.length} sums of ${day} are there to settle.`, {
    hint: 'The table substrate_spending was changed from outside; nothing was settled.',
  });
}

interface DayRow extends Row {
  readonly day: string;
  readonly ends_at: number;
}

/** The newest day that an admission has seen. */
export const NEWEST_DAY: Reading<LedgerDay | null> = {
  tables: ['substrate_ledger_day'],
  read: async (db) => {
    const row = await db.get<DayRow>('SELECT day, ends_at FROM substrate_ledger_day WHERE id = 1');
    return row === undefined ? null : { day: row.day, endsAt: row.ends_at };
  },
};

export async function writeNewestDay(tx: WriteHandle, { day, endsAt }: LedgerDay): Promise<void> {
  await tx.run(
    `INSERT INTO substrate_ledger_day (id, day, ends_at) VALUES (1, ?, ?)
     ON CONFLICT (id) DO UPDATE SET day = excluded.day, ends_at = excluded.ends_at`,
    day,
    endsAt,
  );
}
