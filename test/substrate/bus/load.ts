/**
 * Producers and consumers over one home, to be killed:
 *
 *   load.ts HOME ROUND PRODUCERS CONSUMERS [POINT NTH]
 *
 * It says `open` once it works; `sent INBOX THREAD N` and `got INBOX THREAD N SEQ` once it knows.
 * Consumers acknowledge, hand back, or forget what they were given as if they had crashed.
 */
import { writeSync } from 'node:fs';
import { receive, settleAll } from '../../../src/substrate/bus/bus.ts';
import { SeedError } from '../../../src/errors.ts';
import type { Actor } from '../../../src/substrate/actor.ts';
import { findGrantsNamed } from '../../../src/substrate/identity/grants.ts';
import { lockHome } from '../../../src/substrate/home/lock.ts';
import { systemSources } from '../../../src/substrate/sources.ts';
import { openSubstrate } from '../../../src/substrate/substrate.ts';
import { seededNumbers } from '../../support/sources.ts';
import { letIn, NEVER, say, shorten } from './rig.ts';

const [home = '', round = '', producers = '', consumers = '', point, nth = '1'] = process.argv.slice(2);
const DRIVER = 'better-sqlite3';
/** Each inbox has two consumers, so that they get in each other's way. */
const INBOXES = Math.ceil(Number(consumers) / 2);
const THREADS = 3;
const LEASE_MS = 150;

const write = (line: string): void => void writeSync(1, `${line}\n`);

let passed = 0;
const fault = (at: string): void => {
  if (at === point && ++passed === Number(nth)) process.kill(process.pid, 'SIGKILL');
};

await lockHome(home, { driver: DRIVER, role: 'daemon', waitMs: 10_000 });
const substrate = await openSubstrate({ home, driver: DRIVER, sources: systemSources, fault });

async function actorNamed(name: string): Promise<Actor> {
  const [grant] = await substrate.read((db) => findGrantsNamed(db, name));
  if (grant === undefined) return letIn(substrate, name);
  return { id: name, kind: 'agent', grant: grant.id, scopes: new Set(grant.scopes) };
}

/** Numbers its messages for each inbox and thread; the key makes a send that is tried again one message. */
async function produce(nr: number): Promise<never> {
  const random = seededNumbers(`producer ${round} ${nr}`);
  const actor = await actorNamed(`producer-${nr}`);
  for (let n = 1; ; n++) {
    const inbox = `inbox-${random(INBOXES)}`;
    // A thread of this producer alone: of two producers none could say who was first.
    const thread = `p${nr}-${random(THREADS)}`;
    const text = `${Number(round) * 1_000_000 + n}`;
    try {
      await say(substrate, actor, inbox, text, { thread, key: `${round}-${n}` });
      write(`sent ${inbox} ${thread} ${text}`);
    } catch (error) {
      // Backpressure: the message was not sent, and nothing says that it was.
      if (!(error instanceof SeedError) || error.code !== 'inbox_full') throw error;
    }
  }
}

async function consume(nr: number): Promise<never> {
  const random = seededNumbers(`consumer ${round} ${nr}`);
  const inbox = `inbox-${nr % INBOXES}`;
  const actor = await actorNamed(inbox);
  for (;;) {
    const want = { limit: 1 + random(8), leaseMs: LEASE_MS, waitMs: 5_000, signal: NEVER };
    const got = shorten(await receive(substrate, actor, want));
    for (const { seq, thread, text } of got) write(`got ${inbox} ${thread} ${text} ${seq}`);
    if (got.length === 0) continue;
    const what = random(20);
    if (what === 0) continue;
    const handles = what === 1 ? got.slice(0, 1) : got;
    const verdict =
      what === 1 ? ({ kind: 'nack', delayMs: random(20), reason: null } as const) : { kind: 'ack' as const };
    await settleAll(substrate, actor, { handles, verdict });
  }
}

for (let inbox = 0; inbox < INBOXES; inbox++) await actorNamed(`inbox-${inbox}`);
write('open');
await Promise.all([
  ...Array.from({ length: Number(producers) }, (_, nr) => produce(nr)),
  ...Array.from({ length: Number(consumers) }, (_, nr) => consume(nr)),
]);
