/**
 * Work that outlives its models and its client, shown on a real daemon: an answer that three simulated
 * models give together, because two fail in the middle of it; and a session that a second client ends,
 * because the first one is killed in the middle of it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SeedError } from '../../errors.ts';
import type { Receipt } from '../../formats/receipt.ts';
import { EMPTY_TRANSCRIPT, extendTranscript, messageHash } from '../../substrate/transcript.ts';
import { verifyExportOrProof } from '../verify-path.ts';
import { FIRST, SECOND } from './cast.ts';
import type { ClientEvent, Stand } from './client.ts';
import type { ClientProcess } from './client-process.ts';
import { startClient } from './client-process.ts';
import type { SimulatedModels, Spoken, TargetName } from './models.ts';
import { TARGETS } from './models.ts';
import type { Stage } from './stage.ts';
import { carriedOut, layOut, TOTAL_FILE } from './task.ts';

const RECEIPTS_MAX = 200;
const GONE_MS_MAX = 20_000;
const LOOK_EVERY_MS = 20;

type Of<Name extends ClientEvent['event']> = Extract<ClientEvent, { event: Name }>;

/** What one client told, and who it was. */
export interface Part {
  readonly pid: number;
  readonly events: readonly ClientEvent[];
}

/** One line of the record: a model's attempt, or a handing over. */
export interface Entry {
  readonly receipt: number;
  readonly what: 'asked' | 'failed' | 'answered' | 'offered' | 'accepted';
  readonly who: string;
  /** Why it failed. */
  readonly code: string | null;
  /** The receipt of the model's failure that this one goes on from. */
  readonly from: number | null;
  /** The transcript's hash that was handed on. */
  readonly hash: string | null;
}

export interface Proof {
  readonly verdict: string;
  readonly receipts: number;
}

export interface Handoff {
  readonly figures: number;
  /** What they add up to, by this process. */
  readonly total: number;
  /** What the work has written. */
  readonly written: string;
  readonly first: Part;
  readonly second: Part;
  readonly spoken: readonly Spoken[];
  /** Tool calls in the transcript, and the runs of tools that the clients noted. */
  readonly called: readonly string[];
  readonly carried_out: readonly string[];
  readonly record: readonly Entry[];
  /** The transcript when the first client was killed, what the second one got, and the beginning of the whole. */
  readonly before: Stand;
  readonly after: Stand;
  readonly recomputed: { readonly at_the_kill: string; readonly at_the_end: string };
  readonly end: Stand;
  readonly proof: Proof;
}

/** Who is told of what happens, while it happens. */
export interface Audience {
  readonly begins: (who: string, pid: number) => void;
  readonly event: (event: ClientEvent, spoken: readonly Spoken[]) => void;
  readonly killed: (pid: number) => void;
}

/** Where clients are noted that must not outlive the demonstration. */
export type Clients = Set<ClientProcess>;

/** The whole of it, on a stage whose daemon runs. */
export async function handOver(
  stage: Stage,
  { models, clients, audience }: { models: SimulatedModels; clients: Clients; audience: Audience },
): Promise<Handoff> {
  await stage.ask('policy_apply', { document: policyFile(models) });
  const workplace = { folder: join(stage.folder, 'figures'), journal: join(stage.folder, 'journal.txt') };
  const { figures, total } = layOut(workplace);
  const { key, url } = await stage.ask<{ key: string; url: string }>('key_issue', {
    name: SECOND,
    scopes: ['session.use', 'handoff.accept', 'route.complete'],
    tools: 'full',
  });
  const shows = showing(audience, models);

  const one = startClient({
    ...workplace,
    way: { by: 'stdio', home: stage.home, name: FIRST },
    part: { does: 'begin', offerTo: SECOND },
  });
  clients.add(one);
  audience.begins(FIRST, one.pid);
  const first = { pid: one.pid, events: await shows(one, 'about_to') };
  await one.kill();
  clients.delete(one);
  await untilGone(stage);
  audience.killed(one.pid);

  const { token } = only(first, 'offered');
  const two = startClient({ ...workplace, way: { by: 'http', url, key }, part: { does: 'go_on', token } });
  clients.add(two);
  audience.begins(SECOND, two.pid);
  const second = { pid: two.pid, events: await shows(two, 'closed') };
  await two.kill();
  clients.delete(two);

  const { hash, messages } = only(first, 'about_to');
  const accepted = only(second, 'accepted');
  const closed = only(second, 'closed');
  const transcript = await exportTranscript(stage, only(first, 'opened').session);
  return {
    figures,
    total,
    written: readFileSync(join(workplace.folder, TOTAL_FILE), 'utf8').trim(),
    // The token was good once; it is nobody's business all the same.
    first: {
      ...first,
      events: first.events.map((event) => (event.event === 'offered' ? { ...event, token: '' } : event)),
    },
    second,
    spoken: models.spoken,
    called: transcript.flatMap(callsIn),
    carried_out: carriedOut(workplace),
    record: await readRecord(stage),
    before: { hash, messages },
    after: { hash: accepted.hash, messages: accepted.messages },
    recomputed: { at_the_kill: hashOf(transcript.slice(0, messages)), at_the_end: hashOf(transcript) },
    end: { hash: closed.hash, messages: closed.messages },
    proof: await prove(stage),
  };
}

/** The owner's policy: three models in order, under a ceiling. */
function policyFile({ baseUrl }: SimulatedModels): string {
  const names = Object.keys(TARGETS) as TargetName[];
  const price = { input_usd_per_mtok: '1.00', output_usd_per_mtok: '5.00' };
  return JSON.stringify({
    version: 1,
    targets: Object.fromEntries(names.map((name) => [name, { provider: TARGETS[name], base_url: baseUrl(name) }])),
    roles: {
      demo: {
        dispatch: 'any',
        max_output_tokens: 1_000,
        candidates: names.map((target) => ({ target, model: 'simulated', tier: 2, context_tokens: 32_768 })),
      },
    },
    ceilings: [{ scope: 'seed', window: 'day', usd: '1.00' }],
    prices: names.map((target) => ({ target, model: 'simulated', ...price })),
  });
}

/** Collects what a client tells until it has told `last`, and passes it on. */
function showing({ event: show }: Audience, { spoken }: SimulatedModels) {
  return async ({ events }: ClientProcess, last: ClientEvent['event']): Promise<ClientEvent[]> => {
    const told: ClientEvent[] = [];
    let before = spoken.length;
    for await (const event of events) {
      told.push(event);
      show(event, event.event === 'answered' ? spoken.slice(before) : []);
      if (event.event === 'answered') before = spoken.length;
      if (event.event === last) return told;
    }
    throw broken(`A client ended before it had told "${last}".`);
  };
}

/** Waits until the seed has noticed that nobody is connected any more. */
async function untilGone(stage: Stage): Promise<void> {
  for (let waited = 0; waited < GONE_MS_MAX; waited += LOOK_EVERY_MS) {
    const { agents } = await stage.ask<{ agents: readonly string[] }>('seed_status');
    if (agents.length === 0) return;
    await delay(LOOK_EVERY_MS);
  }
  throw broken('The seed does not notice that the client is gone.');
}

export function only<Name extends ClientEvent['event']>({ events }: Part, name: Name): Of<Name> {
  const [found] = all({ events }, name);
  if (found === undefined) throw broken(`A client did not tell "${name}".`);
  return found;
}

function all<Name extends ClientEvent['event']>({ events }: Pick<Part, 'events'>, name: Name): Of<Name>[] {
  return events.filter((event): event is Of<Name> => event.event === name);
}

/** The messages of a session as `seed session export` writes them: the exact text that was hashed. */
async function exportTranscript(stage: Stage, session: string): Promise<string[]> {
  const out = join(stage.folder, 'session.jsonl');
  await stage.ask('session_export', { session_id: session, out });
  return readFileSync(out, 'utf8').trimEnd().split('\n').slice(1);
}

/** The running hash over messages, computed again from their text. */
function hashOf(messages: readonly string[]): string {
  const hash = messages.reduce((running, body) => extendTranscript(running, messageHash(body)), EMPTY_TRANSCRIPT);
  return Buffer.from(hash).toString('hex');
}

function callsIn(message: string): string[] {
  const { parts } = JSON.parse(message) as { parts: readonly { type: string; id: string }[] };
  return parts.filter(({ type }) => type === 'tool_call').map(({ id }) => id);
}

const WHAT: Readonly<Record<string, Entry['what']>> = {
  'handoff.offer': 'offered',
  'handoff.accept': 'accepted',
};

/** Every attempt of a model and every handing over, by their receipts. */
async function readRecord(stage: Stage): Promise<Entry[]> {
  const actions = ['route.attempt', ...Object.keys(WHAT)];
  const lists = await Promise.all(
    actions.map((action) =>
      stage.ask<{ receipts: readonly Receipt[] }>('receipt_list', { action, order: 'oldest', limit: RECEIPTS_MAX }),
    ),
  );
  const receipts = lists.flatMap((list) => list.receipts).toSorted((one, other) => one.seq - other.seq);
  const targets = new Map(receipts.map(({ seq, detail }) => [seq, text(detail['target'])]));
  return receipts.map((receipt) => entryOf(receipt, targets));
}

function entryOf(
  { seq, action, of, outcome, code, actor, detail }: Receipt,
  targets: ReadonlyMap<number, string | null>,
): Entry {
  const attempted = outcome === 'intent' ? 'asked' : outcome === 'ok' ? 'answered' : 'failed';
  const target = text(detail['target']) ?? targets.get(of ?? seq) ?? null;
  return {
    receipt: seq,
    what: outcome === 'refused' ? 'failed' : (WHAT[action] ?? attempted),
    who: action === 'route.attempt' ? (target ?? '?') : actor.id,
    code,
    from: typeof detail['hop_of'] === 'number' ? detail['hop_of'] : null,
    hash: text(detail['transcript']) ?? text(detail['hash']),
  };
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** All receipts, checked as anybody could who has the root of trust. */
async function prove(stage: Stage): Promise<Proof> {
  const out = join(stage.folder, 'receipts');
  await stage.ask('receipt_export', { out });
  const { verdict, size } = await verifyExportOrProof(out, { root: join(stage.home, 'root', '1.json') }, () => {});
  return { verdict, receipts: size };
}

function broken(message: string): SeedError {
  return new SeedError('internal', message, { hint: 'Please report it, with what --json prints.' });
}

/** The promises, each with whether it was kept. */
export function promisesOf(handoff: Handoff): Readonly<Record<string, boolean>> {
  const { first, second, spoken, called, carried_out: done, record, before, after, recomputed, end, proof } = handoff;
  const answers = [...all(first, 'answered'), ...all(second, 'answered')];
  const failures = record.filter(({ what, code }) => what === 'failed' && code !== null);
  const hops = record.filter(({ from }) => from !== null);
  return {
    'the total is right': handoff.written === `${handoff.total}`,
    'each answer is what its models said, in one piece':
      answers.map(({ text: said }) => said).join('') === spoken.map(({ text: said }) => said).join(''),
    'one answer has three models': answers.some(({ attempts }) => attempts.length === Object.keys(TARGETS).length),
    'each tool call was carried out once': called.length > 0 && called.toSorted().join() === done.toSorted().join(),
    'the session was taken over': only(second, 'accepted').from === FIRST && only(second, 'accepted').epoch === 2,
    'each failure was gone on from':
      hops.length > 0 && hops.map(({ from }) => from).join() === failures.map(({ receipt }) => receipt).join(),
    'the transcript is the same before and after': before.hash === after.hash && before.messages === after.messages,
    'its hash can be computed again': recomputed.at_the_kill === before.hash && recomputed.at_the_end === end.hash,
    'the receipts are proven': proof.verdict === 'proven',
  };
}
