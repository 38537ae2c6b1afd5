/**
 * The digestor: sorts what is written to the seed itself into task, note, question, alert or noise, and sees
 * to it that something comes of it, exactly once.
 *
 * A message that says itself what it is is believed; of the others a model of the role `digestor` is asked
 * where policy has one, and rules sort where none answers. It alone receives from that inbox. Messages of
 * one thread are sorted one after the other, threads beside each other.
 */
import type { ErrorCode } from '../../../errors.ts';
import { toSeedError } from '../../../errors.ts';
import type { Actor } from '../../../substrate/actor.ts';
import { SEED } from '../../../substrate/actor.ts';
import { lapseLeases, receive, settleAll } from '../../../substrate/bus/bus.ts';
import { SEED_INBOX } from '../../../substrate/bus/inbox.ts';
import { readiness, senderNames } from '../../../substrate/bus/look.ts';
import type { Delivery } from '../../../substrate/bus/take.ts';
import { serviceActor } from '../../../substrate/identity/service.ts';
import type { ReadHandle, Substrate } from '../../../substrate/substrate.ts';
import type { Act, Organ, OrganReport, OrganRun } from '../../organ.ts';
import { NOTHING_TO_SEE } from '../../organ.ts';
import { askModel, mayAsk } from './ask.ts';
import { digest } from './effects.ts';
import { countLate, tellLate } from './tell-owner.ts';
import type { Letter, Verdict } from './verdict.ts';
import { saidByItself, sortByRules } from './verdict.ts';

/** Messages of one run, and threads that are sorted beside each other. */
const RUN_MESSAGES = 64;
const RUN_MESSAGES_ASKED = 16;
const PARALLEL = 8;
/** Longer than a run takes, with every model as slow as it may be. */
const LEASE_MS = 10 * 60_000;
/** How long one whose effect was refused waits to be tried again; after five times it is a dead letter. */
const RETRY_MS = 60_000;

export interface DigestorParts {
  readonly substrate: Substrate;
  readonly act: Act;
  /** Named points at which a test stops the process. */
  readonly fault: (point: string) => void;
}

const NAME = 'digestor';

export function createDigestor(parts: DigestorParts): Organ {
  // How the run before ended that left messages in its hands: those of an earlier process failed with it.
  let left: 'nothing' | 'failed' | 'stopped' = 'failed';
  return {
    name: NAME,
    purpose: 'sorts messages to the seed into tasks, notes, questions, alerts and noise',
    silenceMsMax: 3 * 60_000,
    look: async (db, now) => {
      const { ready, waiting, nextAt } = await readiness(db, SEED_INBOX, now);
      const late = await countLate(db, now);
      if (waiting + late === 0) return NOTHING_TO_SEE;
      const isReady = waiting > 0 && (ready || left !== 'nothing');
      return { waiting: (isReady ? waiting : 0) + late, nextAt, held: null };
    },
    run: async (run) => {
      if (left !== 'nothing') await lapseLeases(parts.substrate, SEED, { failed: left === 'failed' });
      left = 'failed';
      try {
        const report = await sortAll(parts, run);
        left = run.signal.aborted ? 'stopped' : 'nothing';
        return report;
      } catch (thrown) {
        if (run.signal.aborted) left = 'stopped';
        throw thrown;
      }
    },
  };
}

async function sortAll(parts: DigestorParts, { signal, alive }: OrganRun): Promise<OrganReport> {
  const { substrate, fault } = parts;
  const actor = await substrate.read((db) => serviceActor(db, NAME));
  const late = await tellLate(substrate, actor, signal);
  const asks = await mayAsk(substrate);
  const limit = asks ? RUN_MESSAGES_ASKED : RUN_MESSAGES;
  const { ready, more } = await receive(substrate, SEED, { limit, leaseMs: LEASE_MS, waitMs: 0, signal });
  fault('digest.taken');
  const letters = await substrate.read((db) => lettersOf(db, ready));
  const threads = [...Map.groupBy(ready, ({ thread }) => thread).values()];
  const counts = new Map<string, number>();
  const sort = async (delivery: Delivery): Promise<void> => {
    const letter = letters.get(delivery.seq);
    if (letter === undefined) throw new Error('A message that was received has no letter.');
    const verdict = await verdictOn(letter, { asks, actor, signal, act: parts.act });
    fault('digest.sorted');
    const became = await settleOne(substrate, actor, { delivery, letter, verdict });
    fault('digest.done');
    counts.set(became, (counts.get(became) ?? 0) + 1);
    alive();
  };
  await inParallel(threads, async (thread) => {
    for (const delivery of thread) {
      if (signal.aborted) return;
      await sort(delivery);
    }
  });
  if (late > 0) counts.set('told late', late);
  return { done: ready.length + late, more, says: sayCounts(counts) };
}

async function lettersOf(db: ReadHandle, ready: readonly Delivery[]): Promise<Map<number, Letter>> {
  const names = await senderNames(db, ready);
  return new Map(
    ready.map(({ seq, sender, sender_name: name, format, content }) => [
      seq,
      // Content that was erased while it waited says nothing any more.
      { seq, from: names.get(sender) ?? name, format, body: Buffer.from(content ?? []).toString('utf8') },
    ]),
  );
}

async function verdictOn(
  letter: Letter,
  { asks, ...asking }: { asks: boolean; actor: Actor; signal: AbortSignal; act: Act },
): Promise<Verdict> {
  const said = saidByItself(letter);
  if (said !== null) return said;
  if (!asks || letter.body.trim() === '') return sortByRules(letter, 'no model is asked');
  const answer = await askModel(letter, asking);
  return typeof answer === 'string' ? sortByRules(letter, answer) : answer;
}

/** What came of one: its kind, or that its effect was refused and it comes again. */
async function settleOne(substrate: Substrate, actor: Actor, sorting: Parameters<typeof digest>[2]): Promise<string> {
  try {
    return await digest(substrate, actor, sorting);
  } catch (thrown) {
    const error = toSeedError(thrown);
    // The end of the grant, a halt or a defect ends the run; what is in the way of one message is that one's.
    if (!OF_THE_MESSAGE.has(error.code)) throw thrown;
    const { seq, lease } = sorting.delivery;
    await settleAll(substrate, SEED, {
      handles: [{ seq, lease }],
      verdict: { kind: 'nack', delayMs: RETRY_MS, reason: `${error.code}: ${error.message}`.slice(0, 200) },
    });
    return 'handed back';
  }
}

/** What is in the way of one message, and of no other. */
const OF_THE_MESSAGE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'too_many',
  'too_large',
  'inbox_full',
  'memory_full',
  'forbidden',
  'not_found',
  'invalid_input',
  'conflict',
  'content_erased',
]);

/** Works on all of them, so many beside each other; the first failure ends it once those under way are over. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const lane = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(PARALLEL, items.length) }, lane));
  const failed = lanes.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function sayCounts(counts: ReadonlyMap<string, number>): string | null {
  return counts.size === 0 ? null : [...counts].map(([kind, count]) => `${count} × ${kind}`).join(', ');
}
