import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { addDays, dayEnd, dayOf } from '../substrate/ledger/calendar.ts';
import { usage } from '../substrate/ledger/usage.ts';
import { noteEditsIfServing } from '../substrate/policy/outside.ts';
import { readCeilings, readTimezone } from '../substrate/policy/policy.ts';
import { listReceipts, seqAtTime } from '../substrate/receipts/query.ts';
import type { Tally } from '../substrate/receipts/tally.ts';
import { sumTallies, TALLY_RECEIPTS_MAX, tally } from '../substrate/receipts/tally.ts';
import { isoTime } from '../substrate/sources.ts';
import type { SubstrateReader } from '../substrate/substrate.ts';
import { countTasks } from '../substrate/tasks/look.ts';
import { defineTool } from './define.ts';
import { sayCount, sayReceipt } from './receipt-words.ts';

/** Parts of the log that are counted: the newest 200,000 receipts of the day. */
const PARTS_MAX = 40;
const LISTED_MAX = 10;
const CEILINGS_MAX = 5;

const Line = z.object({ receipt: z.int(), time: z.string(), who: z.string(), says: z.string() });

const Person = z.object({
  name: z.string(),
  says: z.array(z.string()).describe('What they did, the most frequent first'),
  did: z.array(z.object({ action: z.string(), outcome: z.string(), count: z.int(), first: z.int(), last: z.int() })),
  refused: z.int(),
  failed: z.int(),
});

const Money = z.object({
  spent_micro_usd: z.int(),
  held_micro_usd: z.int(),
  agents: z.array(z.object({ name: z.string(), spent_micro_usd: z.int() })),
  ceilings: z.array(z.object({ ceiling: z.string(), spent_micro_usd: z.int(), limit_micro_usd: z.int() })),
});

const Output = z.object({
  day: z.string(),
  timezone: z.string(),
  receipts: z.object({ count: z.int(), first: z.int().nullable(), last: z.int().nullable() }),
  counted_from: z.int().nullable().describe('Null: all of the day; else the first receipt that was counted'),
  people: z.array(Person),
  money: Money.nullable().describe('Null where the policy cannot be read'),
  handoffs: z.array(Line),
  refusals: z.array(Line).describe('The newest'),
  refused: z.int(),
  tasks: z.object({ open: z.int(), claimed: z.int(), finished: z.int(), overdue: z.int() }),
});
type Output = z.infer<typeof Output>;

export const seedToday = defineTool({
  name: 'seed_today',
  title: 'What happened today',
  description: 'Use when you want to see the day on one screen: who did what, money, handoffs, refusals.',
  scope: 'seed.today',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: Output,
  handler: async (_input, { substrate }): Promise<Output> => {
    await noteEditsIfServing(substrate);
    const now = substrate.sources.now();
    const { timezone, money } = await moneyOf(substrate, now);
    const day = dayOf(now, timezone);
    const { first, last } = await rangeOf(substrate, dayEnd(addDays(day, -1), timezone));
    const countedFrom = Math.max(first, last - PARTS_MAX * TALLY_RECEIPTS_MAX + 1);
    const tallies = await countAll(substrate, countedFrom, last);
    return {
      day,
      timezone,
      receipts: { count: last - first + 1, first: last < first ? null : first, last: last < first ? null : last },
      counted_from: countedFrom === first ? null : countedFrom,
      people: peopleOf(tallies),
      money,
      ...(await linesOf(substrate, { first, last, tallies })),
      refused: sum(tallies.filter(({ outcome }) => outcome === 'refused')),
      tasks: await tasksOf(substrate, now),
    };
  },
});

/** The receipts since a moment: the first and the last, which is before it where there are none. */
async function rangeOf(substrate: SubstrateReader, since: number): Promise<{ first: number; last: number }> {
  return substrate.read(async (db) => ({
    first: await seqAtTime(db, isoTime(since)),
    last: (await seqAtTime(db, '9999')) - 1,
  }));
}

async function countAll(substrate: SubstrateReader, from: number, to: number): Promise<Tally[]> {
  const parts: Tally[][] = [];
  for (let start = from; start <= to; start += TALLY_RECEIPTS_MAX) {
    const end = Math.min(to, start + TALLY_RECEIPTS_MAX - 1);
    parts.push(await substrate.read((db) => tally(db, start, end)));
  }
  return sumTallies(parts);
}

function sum(tallies: readonly Tally[]): number {
  return tallies.reduce((total, { count }) => total + count, 0);
}

function peopleOf(tallies: readonly Tally[]): Output['people'] {
  const byName = Map.groupBy(tallies, ({ actor }) => actor);
  return [...byName].map(([name, own]) => {
    const did = own.toSorted((a, b) => b.count - a.count);
    // An intent and its outcome are one thing that was done.
    const done = did.filter(({ outcome }) => outcome === 'ok' || outcome === 'claimed');
    return {
      name,
      says: done.map(({ action, count }) => sayCount(action, count)),
      did: did.map(({ action, outcome, count, first, last }) => ({ action, outcome, count, first, last })),
      refused: sum(own.filter(({ outcome }) => outcome === 'refused')),
      failed: sum(own.filter(({ outcome }) => outcome === 'failed' || outcome === 'incomplete')),
    };
  });
}

async function linesOf(
  substrate: SubstrateReader,
  { first, last, tallies }: { first: number; last: number; tallies: readonly Tally[] },
): Promise<Pick<Output, 'handoffs' | 'refusals'>> {
  return substrate.read(async (db) => {
    const found = await listReceipts(db, { outcome: 'refused', from: first, to: last }, { limit: LISTED_MAX });
    const handoffs: Output['handoffs'] = [];
    for (const action of ['handoff.offer', 'handoff.accept', 'handoff.withdraw']) {
      const own = tallies.filter((each) => each.action === action && each.outcome === 'ok');
      if (own.length === 0) continue;
      const [from, to] = [Math.min(...own.map((each) => each.first)), Math.max(...own.map((each) => each.last))];
      const page = await listReceipts(db, { action, outcome: 'ok', from, to }, { limit: LISTED_MAX });
      handoffs.push(...page.receipts.map(lineOf));
    }
    const newest = handoffs.toSorted((a, b) => b.receipt - a.receipt).slice(0, LISTED_MAX);
    return { handoffs: newest, refusals: found.receipts.map(lineOf) };
  });
}

function lineOf(receipt: Parameters<typeof sayReceipt>[0] & { seq: number; time: string; actor: { id: string } }) {
  return { receipt: receipt.seq, time: receipt.time, who: receipt.actor.id, says: sayReceipt(receipt) };
}

/** A policy that cannot be read hides the money, not the day. */
async function moneyOf(substrate: SubstrateReader, now: number): Promise<{ timezone: string; money: Output['money'] }> {
  try {
    return await substrate.read(async (db) => {
      const [timezone, ceilings] = [await readTimezone(db), await readCeilings(db)];
      const told = await usage(db, { ceilings, timezone, now, period: 'day', onlyAgent: null, limit: CEILINGS_MAX });
      const money = {
        spent_micro_usd: told.total.spentMicroUsd,
        held_micro_usd: told.total.heldMicroUsd,
        agents: told.agents.entries.map(({ name, spentMicroUsd }) => ({ name, spent_micro_usd: spentMicroUsd })),
        ceilings: told.ceilings.entries.map(({ ceiling, scope, spentMicroUsd, heldMicroUsd, limitMicroUsd }) => ({
          ceiling: ceiling.startsWith(`${scope}/`) ? ceiling : `${ceiling} (${scope})`,
          spent_micro_usd: spentMicroUsd + heldMicroUsd,
          limit_micro_usd: limitMicroUsd,
        })),
      };
      return { timezone, money };
    });
  } catch (error) {
    if (error instanceof SeedError && error.code === 'policy_invalid') return { timezone: 'UTC', money: null };
    throw error;
  }
}

async function tasksOf(substrate: SubstrateReader, now: number): Promise<Output['tasks']> {
  return substrate.read(async (db) => ({
    open: await countTasks(db, { state: 'open' }, now),
    claimed: await countTasks(db, { state: 'claimed' }, now),
    finished: await countTasks(db, { state: 'finished' }, now),
    overdue: await countTasks(db, { state: 'live', dueBy: now }, now),
  }));
}
