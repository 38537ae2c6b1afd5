/**
 * The ledger: money that is held before a call and settled once after it (LOCK-RUNTIME-3).
 *
 * An admission reads the sums and raises them in one transaction of the one writer, so that spent +
 * held + bound ≤ limit holds for every ceiling however many calls come at once. What is held belongs to
 * the day of its admission, and so does its settlement.
 */
import { SeedError } from '../../errors.ts';
import type { Ceiling } from '../policy/model.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import type { LedgerDay } from './calendar.ts';
import { presentDay, windowDays, windowEnd } from './calendar.ts';
import type { Booking, Bound, CeilingUse, Hold, Settlement, Spender, TokenUsage } from './model.ts';
import { LABEL_KEY, LABELS_MAX } from './model.ts';
import { assertWhole, boundOf, dollars, MICRO_USD_MAX, PRICE_MAX, TOKENS_MAX, tokensFor } from './money.ts';
import { countedFor, nameOf, scopesOf } from './scope.ts';
import type { Question } from './sums.ts';
import { holdSums, NEWEST_DAY, readSums, settleSums, writeNewestDay } from './sums.ts';

export interface Admission {
  /** The attempt's id: settles this hold, once. */
  readonly id: string;
  readonly spender: Spender;
  /** What earlier attempts of the same call were booked at: a ceiling on one call counts them all. */
  readonly callSpentMicroUsd?: number;
  readonly bound: Bound;
  /** All that policy has; those that do not name the spender do not count. */
  readonly ceilings: readonly Ceiling[];
  /** Policy's IANA zone. */
  readonly timezone: string;
  readonly target: string;
  readonly model: string;
  /** Which price the bound was computed with. */
  readonly priceVersion: string;
}

/** Whose headroom is asked for. */
export interface HeadroomQuestion {
  readonly spender: Spender;
  readonly ceilings: readonly Ceiling[];
  readonly timezone: string;
  /** ms since the epoch */
  readonly now: number;
}

export interface Headroom {
  /** What one call may cost at most right now; null where no ceiling applies. Never negative. */
  readonly microUsd: number | null;
  /** The ceiling that leaves the least. */
  readonly tightest: CeilingUse | null;
  /** Every ceiling that applies, in policy's order. */
  readonly ceilings: readonly CeilingUse[];
}

/**
 * Holds the most that an attempt can cost, in the transaction of its intent.
 *
 * Where the headroom is smaller than the whole bound, the answer's tokens are clamped to it, down to
 * `minOutputTokens` (or what was asked for, if that is fewer).
 *
 * @throws SeedError `over_ceiling` where less than that is left; its data, fit for a receipt's detail:
 *   `{ceiling, scope, spent_micro_usd, held_micro_usd, limit_micro_usd, bound_micro_usd, retry_after_s}`,
 *   the bound being the least that was asked for, and `retry_after_s` null where the window never turns
 *   over, and short where money is only held: calls under way give it back. `conflict` for an id that was admitted before, `invalid_input` for what cannot be bounded.
 */
export async function admit(op: Operation, admission: Admission): Promise<Hold> {
  const { id, spender, bound, ceilings, timezone, target, model, priceVersion, callSpentMicroUsd = 0 } = admission;
  assertWhole(callSpentMicroUsd, Number.MAX_SAFE_INTEGER, 'What the call has cost so far');
  assertBound(bound);
  assertLabels(spender);
  const newest = await op.recall(NEWEST_DAY);
  const present = presentDay(newest, op.now, timezone);
  const uses = await readUses(op, { spender, ceilings, timezone, present, callSpentMicroUsd });
  const maxOutputTokens = affordable(bound, uses, op.now);
  const boundMicroUsd = boundOf(bound, maxOutputTokens);
  const inserted = await op.run(
    `INSERT INTO substrate_ledger
       (id, receipt, day, role, agent, session, labels, target, model, price_version, bound_micro_usd)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
    id,
    op.seq,
    present.day,
    spender.role,
    spender.agent,
    spender.session,
    JSON.stringify(spender.labels),
    target,
    model,
    priceVersion,
    boundMicroUsd,
  );
  if (inserted === 0) throw conflict(id, 'was admitted before');
  await holdSums(op, scopesOf(spender, target, model), present.day, boundMicroUsd);
  if (newest?.day !== present.day || newest.endsAt !== present.endsAt) await writeNewestDay(op, present);
  const clamped = maxOutputTokens < bound.maxOutputTokens;
  return { id, spender, target, model, day: present.day, boundMicroUsd, maxOutputTokens, clamped };
}

interface LedgerRow extends Row {
  readonly day: string;
  readonly role: string;
  readonly agent: string;
  readonly session: string | null;
  readonly labels: string;
  readonly target: string;
  readonly model: string;
  readonly bound_micro_usd: number;
  readonly cost_micro_usd: number | null;
}

/**
 * Books what an attempt cost, once, on the day of its admission, and gives back the rest of its hold.
 * What the provider reports is booked as it is, also above the bound.
 *
 * @param booking what the admission gave, where whoever settles has it still; otherwise it is looked up
 * @throws SeedError `not_found` for an id that was never admitted, `conflict` for one that is settled
 */
export async function settle(
  op: Operation,
  { id, costMicroUsd, usage }: { id: string; costMicroUsd: number; usage: TokenUsage | null },
  booking: Booking | null = null,
): Promise<Settlement> {
  assertWhole(costMicroUsd, MICRO_USD_MAX, 'The cost');
  const { spender, target, model, day, boundMicroUsd } = booking ?? (await findHeld(op, id));
  const settled = await op.run(
    'UPDATE substrate_ledger SET cost_micro_usd = ?, usage = ? WHERE id = ? AND cost_micro_usd IS NULL',
    costMicroUsd,
    usage === null ? null : JSON.stringify(usage),
    id,
  );
  // Says which of the two it is.
  if (settled === 0) await findHeld(op, id);
  await settleSums(op, { scopes: scopesOf(spender, target, model), day, held: boundMicroUsd, spent: costMicroUsd });
  return { id, spender, day, boundMicroUsd, costMicroUsd, boundExceeded: costMicroUsd > boundMicroUsd };
}

/** What is held for an attempt. @throws SeedError `not_found`, `conflict` where it is settled */
async function findHeld(db: ReadHandle, id: string): Promise<Booking> {
  const row = await db.get<LedgerRow>(
    `SELECT day, role, agent, session, labels, target, model, bound_micro_usd, cost_micro_usd
     FROM substrate_ledger WHERE id = ?`,
    id,
  );
  if (row === undefined) {
    throw new SeedError('not_found', `No attempt ${id} was admitted.`, { hint: 'Admit an attempt before it is made.' });
  }
  if (row.cost_micro_usd !== null) throw conflict(id, 'is settled');
  const { target, model, day, bound_micro_usd: boundMicroUsd } = row;
  return { spender: spenderOf(row), target, model, day, boundMicroUsd };
}

/** What this spender may still spend, without holding any of it. */
export async function headroom(db: ReadHandle, question: HeadroomQuestion): Promise<Headroom> {
  const present = presentDay(await db.recall(NEWEST_DAY), question.now, question.timezone);
  const ceilings = await readUses(db, { ...question, present, callSpentMicroUsd: 0 });
  const tightest = tightestOf(ceilings);
  return { microUsd: tightest === null ? null : Math.max(0, leftOf(tightest)), tightest, ceilings };
}

function assertBound({ inputMicroUsd, outputMicroUsdPerMtok, maxOutputTokens, minOutputTokens }: Bound): void {
  assertWhole(inputMicroUsd, MICRO_USD_MAX, 'What the input may cost');
  assertWhole(outputMicroUsdPerMtok, PRICE_MAX, 'The price of output');
  assertWhole(maxOutputTokens, TOKENS_MAX, 'The most output tokens');
  assertWhole(minOutputTokens, TOKENS_MAX, 'The least output tokens');
}

/** A key with a `=` would have two readings, and too many labels too many sums. */
function assertLabels({ labels }: Spender): void {
  const keys = Object.keys(labels);
  if (keys.length <= LABELS_MAX && keys.every((key) => LABEL_KEY.test(key))) return;
  throw new SeedError('invalid_input', `There are more than ${LABELS_MAX} labels, or one with an unusable key.`, {
    hint: 'Give a few short labels, such as customer: acme.',
  });
}

interface UsesQuestion extends Omit<HeadroomQuestion, 'now'> {
  readonly present: LedgerDay;
  readonly callSpentMicroUsd: number;
}

/** The ceilings that apply, with what is used of them, in policy's order. */
async function readUses(
  db: ReadHandle,
  { spender, ceilings, timezone, present, callSpentMicroUsd }: UsesQuestion,
): Promise<CeilingUse[]> {
  const applying = ceilings.flatMap((ceiling) => {
    const counted = countedFor(ceiling, spender);
    return counted === null ? [] : [{ ceiling, counted, days: windowDays(ceiling.window, present.day) }];
  });
  const questions = applying.flatMap(({ counted, days }): Question[] => (days === null ? [] : [{ counted, days }]));
  const sums = (await readSums(db, questions)).values();
  return applying.map(({ ceiling, counted, days }) => {
    assertWhole(ceiling.limitMicroUsd, Number.MAX_SAFE_INTEGER, `The limit of ${ceiling.name}`);
    // Attempts come one after the other: of a call that makes another one nothing is held.
    const ofCall = { spentMicroUsd: callSpentMicroUsd, heldMicroUsd: 0 };
    const sum = days === null ? ofCall : (sums.next().value ?? { spentMicroUsd: 0, heldMicroUsd: 0 });
    return {
      ceiling: ceiling.name,
      scope: nameOf(counted),
      ...sum,
      limitMicroUsd: ceiling.limitMicroUsd,
      resetsAt: windowEnd(ceiling.window, present, timezone),
    };
  });
}

/** What a ceiling leaves; negative where a limit was lowered or a report was above its bound. */
function leftOf({ limitMicroUsd, spentMicroUsd, heldMicroUsd }: CeilingUse): number {
  return limitMicroUsd - spentMicroUsd - heldMicroUsd;
}

/** The ceiling that leaves the least; the first of those that leave the same. */
function tightestOf(uses: readonly CeilingUse[]): CeilingUse | null {
  let tightest: CeilingUse | null = null;
  for (const use of uses) if (tightest === null || leftOf(use) < leftOf(tightest)) tightest = use;
  return tightest;
}

/** How many output tokens every ceiling pays for. @throws SeedError `over_ceiling` */
function affordable(bound: Bound, uses: readonly CeilingUse[], now: number): number {
  const tightest = tightestOf(uses);
  if (tightest === null) return bound.maxOutputTokens;
  const least = Math.min(bound.minOutputTokens, bound.maxOutputTokens);
  const room = leftOf(tightest) - bound.inputMicroUsd;
  const tokens = Math.min(bound.maxOutputTokens, tokensFor(room, bound.outputMicroUsdPerMtok));
  if (room < 0 || tokens < least) throw overCeiling(tightest, boundOf(bound, least), now);
  return tokens;
}

/** Seconds after which calls under way may be done, and what they hold is free again. */
const HELD_WAIT_S = 5;

function overCeiling(use: CeilingUse, boundMicroUsd: number, now: number): SeedError {
  const { ceiling, scope, spentMicroUsd, heldMicroUsd, limitMicroUsd, resetsAt } = use;
  const held = heldMicroUsd === 0 ? '' : `, ${dollars(heldMicroUsd)} held for calls under way`;
  const onlyHeld = heldMicroUsd > 0 && spentMicroUsd + boundMicroUsd <= limitMicroUsd;
  const waitS = resetsAt === null ? null : Math.ceil((resetsAt - now) / 1_000);
  const wait = resetsAt === null ? 'The owner can raise the limit.' : 'Wait for the window, or ask the owner.';
  return new SeedError(
    'over_ceiling',
    `Over the ceiling ${ceiling}: ${dollars(spentMicroUsd)} of ${dollars(limitMicroUsd)} spent${held}; this would take up to ${dollars(boundMicroUsd)}.`,
    {
      hint: onlyHeld ? 'Try again when the calls under way are done.' : wait,
      data: {
        ceiling,
        scope,
        spent_micro_usd: spentMicroUsd,
        held_micro_usd: heldMicroUsd,
        limit_micro_usd: limitMicroUsd,
        bound_micro_usd: boundMicroUsd,
        retry_after_s: onlyHeld ? Math.min(waitS ?? HELD_WAIT_S, HELD_WAIT_S) : waitS,
      },
    },
  );
}

function conflict(id: string, why: string): SeedError {
  return new SeedError('conflict', `The attempt ${id} ${why}.`, {
    hint: 'An attempt is admitted once and settled once.',
  });
}

function spenderOf({ role, agent, session, labels }: LedgerRow): Spender {
  return { role, agent, session, labels: JSON.parse(labels) as Spender['labels'] };
}
