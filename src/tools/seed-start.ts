import * as z from 'zod';
import type { Unread } from '../substrate/bus/look.ts';
import { unread } from '../substrate/bus/look.ts';
import { countDead } from '../substrate/bus/dead.ts';
import { holderOf } from '../substrate/bus/model.ts';
import { listPendingRequests } from '../substrate/identity/requests.ts';
import { listSilent } from '../substrate/sessions/handover.ts';
import { listOffersFor } from '../substrate/sessions/handoffs.ts';
import { listHeld } from '../substrate/sessions/sessions.ts';
import type { Actor } from '../substrate/actor.ts';
import type { SubstrateReader } from '../substrate/substrate.ts';
import type { Daemon } from './daemon.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
import { memoryLines } from './memory-lines.ts';
import { taskLines } from './task-lines.ts';
import { counted } from './text.ts';

export const seedStart = defineTool({
  name: 'seed_start',
  title: 'Begin here',
  description:
    'Use when you begin, or come back: tells in one call who you are here, what waits for you and what you may do. This seed is your agents’ home: it outlives you and the model you run on.',
  scope: null,
  surface: 'daily',
  access: 'read',
  input: z.strictObject({ topic: z.string().max(500).optional().describe('What you are about to do') }),
  output: z.object({
    you: z.object({ name: z.string(), kind: z.string(), scopes: z.array(z.string()), expires: z.string().nullable() }),
    seed: z.object({ id: z.string(), version: z.string(), receipts: z.int() }),
    waiting: z.array(z.string()).describe('What waits for you, one line each'),
    memories: z.array(z.string()).describe('What is remembered of the topic, one line each'),
    hints: z.array(z.string()),
  }),
  handler: async ({ topic }, { actor, grant, substrate, daemon }) => {
    const expires = grant?.expiresAt ?? null;
    return {
      you: {
        name: actor.id,
        kind: actor.kind,
        scopes: grant === null ? [] : [...grant.scopes],
        expires: expires === null ? null : isoTime(expires),
      },
      seed: { id: substrate.seed, version: daemon.version, receipts: (await substrate.log()).size },
      waiting: await waitingFor(substrate, actor, daemon),
      memories: await memoryLines(substrate, actor, topic),
      hints: hintsFor(topic),
    };
  },
  text: ({ you, seed, waiting, memories, hints }) =>
    [
      `You are ${you.name} (${you.kind}${you.expires === null ? '' : `, until ${you.expires}`}) in the seed ${seed.id.slice(0, 12)}, version ${seed.version}, ${counted(seed.receipts, 'receipt')}.`,
      you.scopes.length === 0 ? '' : `You may: ${you.scopes.join(', ')}.`,
      ...(waiting.length === 0 ? ['Nothing waits for you.'] : waiting),
      ...memories,
      ...hints,
    ]
      .filter((line) => line !== '')
      .join('\n'),
});

/** What waits for somebody, one line each, what is most likely to matter first. */
export async function waitingFor(substrate: SubstrateReader, actor: Actor, daemon: Daemon): Promise<string[]> {
  const { grant } = actor;
  const now = substrate.sources.now();
  const own = grant === null ? [] : await substrate.read((db) => listPendingRequests(db, now, grant));
  // A letter box without a key to it is no news.
  const mail = actor.scopes.has('bus.receive')
    ? await substrate.read((db) => unread(db, holderOf(actor), now))
    : { waiting: 0, from: [] };
  // Dead letters wait for the owner alone.
  const dead = grant === null ? await substrate.read(countDead) : 0;
  return [
    ...mailLines(mail),
    ...(await workLines(substrate, actor, { daemon, now })),
    ...(await taskLines(substrate, actor)),
    ...(dead === 0 ? [] : [`${counted(dead, 'dead letter')}: \`seed bus dead list\`.`]),
    ...own.map(({ body }) => `Your request ${body.id} for ${body.scopes.join(', ')} waits for the owner.`),
  ];
}

const WORK_LINES_MAX = 5;

/** What goes on, was offered, or was left by somebody who is gone; for those who may go on with it. */
async function workLines(
  substrate: SubstrateReader,
  actor: Actor,
  { daemon, now }: { daemon: Daemon; now: number },
): Promise<string[]> {
  if (!actor.scopes.has('session.use')) return [];
  const look = { actor, goneSince: daemon.goneSince, now };
  const mayAccept = actor.scopes.has('handoff.accept');
  const { held, offered, silent } = await substrate.read(async (db) => ({
    held: await listHeld(db, actor.grant, WORK_LINES_MAX),
    offered: mayAccept ? await listOffersFor(db, actor, now, WORK_LINES_MAX) : [],
    silent: mayAccept && actor.kind !== 'helper' ? await listSilent(db, look, WORK_LINES_MAX) : [],
  }));
  return [
    ...held.map(({ id, checkpoint }) => `You hold session ${id}: ${inShort(checkpoint)}: session_checkpoint.`),
    ...offered.map(
      ({ session, offererName, package: { goal, next } }) =>
        `${offererName} offers you session ${session}: ${inShort({ goal, next })}: handoff_accept.`,
    ),
    ...silent.map(
      ({ id, holderName, checkpoint }) =>
        `${holderName} is gone and left session ${id}: ${inShort(checkpoint)}: handoff_accept with latest.`,
    ),
  ];
}

function inShort({ goal, next }: { readonly goal: string; readonly next: string }): string {
  const short = (text: string): string => (text.length > 120 ? `${text.slice(0, 120).toWellFormed()}…` : text);
  return `${goal === '' ? 'no goal said' : short(goal)}${next === '' ? '' : `; next: ${short(next)}`}`;
}

function mailLines({ waiting, from }: Unread): string[] {
  return waiting === 0 ? [] : [`${counted(waiting, 'message')} for you, from ${from.join(', ')}: bus_receive.`];
}

function hintsFor(topic: string | undefined): string[] {
  const always = 'Everything done here leaves a signed receipt; receipt_get reads one.';
  const asking = 'If you need more than you may, ask the owner with membrane_request; nobody else can grant it.';
  return topic === undefined ? [always, asking] : [asking];
}
