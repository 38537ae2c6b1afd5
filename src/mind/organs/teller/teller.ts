/**
 * The teller: tells the owner what policy says, by the notifiers that policy names, each fact once.
 *
 * A telling is an effect outside the database: an intent is on record before the command runs, the outcome
 * with the row that remembers it after. A crash in between tells once more, which is better than not at all.
 */
import { createHash } from 'node:crypto';
import type { SeedError } from '../../../errors.ts';
import { toSeedError } from '../../../errors.ts';
import { SEED } from '../../../substrate/actor.ts';
import type { Telling } from '../../../substrate/home/notifiers.ts';
import type { ToldRow } from '../../../substrate/notices/told.ts';
import { findTold, forgetTold, lastToldAt, TOLD_KEPT_MS, writeTold } from '../../../substrate/notices/told.ts';
import type { NoticeEvent } from '../../../substrate/policy/model.ts';
import { readPolicy } from '../../../substrate/policy/policy.ts';
import { isoTime } from '../../../substrate/sources.ts';
import type { ReadHandle, Substrate } from '../../../substrate/substrate.ts';
import type { Organ, OrganReport, OrganRun, Sight } from '../../organ.ts';
import { NOTHING_TO_SEE } from '../../organ.ts';
import type { Fact, FactSource } from './facts.ts';

export interface TellerParts {
  readonly substrate: Substrate;
  /** Everything that there may be to tell, in the order in which it is told. */
  readonly sources: readonly FactSource[];
  /** Runs a notifier. @throws SeedError */
  readonly tell: (notifier: string, telling: Telling, signal: AbortSignal) => Promise<void>;
}

/** How often it looks at all that there may be to tell, in milliseconds. */
const LOOK_MS = 5_000;
/** Tellings of one run. */
const RUN_MAX = 20;
/** A notifier that fails is tried again after a minute, then four, then sixteen, and then no more. */
const TRIES_MAX = 4;
const RETRY_MS = 60_000;
const RETRY_FACTOR = 4;
/** What comes in crowds is not told more often than this, in milliseconds. */
const PAUSE_MS: Readonly<Partial<Record<NoticeEvent, number>>> = { dead_letter: 10 * 60_000, alert: 60_000 };

/** One fact that one notifier is to tell. */
interface Due {
  readonly fact: Fact;
  readonly id: string;
  readonly notifier: string;
  readonly tries: number;
}

interface Plan {
  readonly due: readonly Due[];
  /** When the next one may be tried, ms since the epoch. */
  readonly nextAt: number | null;
}

export function createTeller({ substrate, sources, tell }: TellerParts): Organ {
  let lookedAt = Number.NEGATIVE_INFINITY;
  const look = async (db: ReadHandle, now: number): Promise<Sight> => {
    const { notices } = await readPolicy(db);
    if (notices === null) return { ...NOTHING_TO_SEE, held: 'the notices of the policy wait for `seed policy ack`' };
    if (notices.length === 0) return NOTHING_TO_SEE;
    // It looks at much, and other organs wake the loop often: what there is to tell can wait for a moment.
    if (now >= lookedAt && now < lookedAt + LOOK_MS) return { ...NOTHING_TO_SEE, nextAt: lookedAt + LOOK_MS };
    lookedAt = now;
    const { due, nextAt } = await plan(db, sources, now);
    return { waiting: due.length, nextAt, held: null };
  };
  const run = async ({ signal, alive }: OrganRun): Promise<OrganReport> => {
    const { due } = await substrate.read((db) => plan(db, sources, substrate.sources.now()));
    let told = 0;
    const tellAll = async (own: readonly Due[]): Promise<void> => {
      for (const one of own) {
        if (signal.aborted) break;
        if (await tellOne(substrate, one, tell, signal)) told++;
        alive();
      }
    };
    // Each notifier by itself: one that hangs keeps no other waiting.
    const byNotifier = Map.groupBy(due.slice(0, RUN_MAX), ({ notifier }) => notifier);
    await Promise.all([...byNotifier.values()].map(tellAll));
    await substrate.maintain((tx) => forgetTold(tx, substrate.sources.now() - TOLD_KEPT_MS));
    const tried = Math.min(due.length, RUN_MAX);
    return {
      done: told,
      more: due.length > RUN_MAX,
      says: told === tried ? null : `${tried - told} of ${tried} notices could not be delivered`,
    };
  };
  return {
    name: 'teller',
    purpose: 'Tells you what your policy says you want to know.',
    // A notifier has ten seconds.
    silenceMsMax: 30_000,
    look,
    run,
  };
}

/** What is to be told now, and when there is more. */
async function plan(db: ReadHandle, sources: readonly FactSource[], now: number): Promise<Plan> {
  const policy = await readPolicy(db);
  const notices = policy.notices ?? [];
  if (notices.length === 0) return { due: [], nextAt: null };
  const wanted = Map.groupBy(notices, ({ event }) => event);
  const facts: Fact[] = [];
  for (const source of sources) facts.push(...(await source({ db, policy, now })));
  const due: Due[] = [];
  const paused = new Set<string>();
  let nextAt: number | null = null;
  for (const fact of facts) {
    for (const { notifier } of wanted.get(fact.event) ?? []) {
      const id = idOf(fact);
      const before = await findTold(db, id, notifier);
      const free = await mayTellFrom(db, { fact, notifier, before });
      if (free === null) continue;
      const pause = PAUSE_MS[fact.event] ?? 0;
      const own = `${fact.event} ${notifier}`;
      // Of a crowd that came at once the others wait for the next time, too.
      const from = paused.has(own) ? Math.max(free, now + pause) : free;
      if (from <= now) due.push({ fact, id, notifier, tries: before?.tries ?? 0 });
      else nextAt = Math.min(nextAt ?? from, from);
      if (from <= now && pause > 0) paused.add(own);
    }
  }
  return { due, nextAt };
}

/** From when on it may be told, ms since the epoch; null where it was, or is given up. */
async function mayTellFrom(
  db: ReadHandle,
  { fact, notifier, before }: { fact: Fact; notifier: string; before: ToldRow | null },
): Promise<number | null> {
  if (before !== null) return before.state === 'failed' ? before.retry_at : null;
  const pause = PAUSE_MS[fact.event];
  if (pause === undefined) return 0;
  const last = await lastToldAt(db, fact.event, notifier);
  return last === null ? 0 : last + pause;
}

/** A fact's key may name people and labels; what stands in receipts names nobody. */
function idOf({ key, event }: Fact): string {
  return `${event}:${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
}

/** Tells one fact; resolves to whether the notifier ended well. */
async function tellOne(
  substrate: Substrate,
  { fact, id, notifier, tries }: Due,
  tell: TellerParts['tell'],
  signal: AbortSignal,
): Promise<boolean> {
  const { event, says, todo } = fact;
  const about = { subject: { type: 'notice', id }, detail: { event, notifier } };
  const started = await substrate.operate({ action: 'notice.tell', actor: SEED }, async (op) => {
    op.receipt({ outcome: 'intent', ...about });
    return op.now;
  });
  const time = isoTime(started.value);
  const error = await attempt(() => tell(notifier, { v: 1, seed: substrate.seed, event, says, todo, time }, signal));
  await substrate.operate({ action: 'notice.tell', actor: SEED }, async (op) => {
    const outcome = error === null ? 'ok' : 'failed';
    op.receipt({ of: started.seq, outcome, code: error?.code ?? null, ...about });
    await writeTold(op, { fact: id, notifier, event, says, at: op.now, ...after(error, tries + 1, op.now) });
  });
  return error === null;
}

async function attempt(work: () => Promise<void>): Promise<SeedError | null> {
  try {
    await work();
    return null;
  } catch (thrown) {
    return toSeedError(thrown);
  }
}

function after(error: SeedError | null, tries: number, now: number): Pick<ToldRow, 'state' | 'tries' | 'retry_at'> {
  if (error === null) return { state: 'told', tries, retry_at: null };
  if (tries >= TRIES_MAX) return { state: 'given_up', tries, retry_at: null };
  return { state: 'failed', tries, retry_at: now + RETRY_MS * RETRY_FACTOR ** (tries - 1) };
}
