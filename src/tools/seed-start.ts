import * as z from 'zod';
import type { Unread } from '../substrate/bus/look.ts';
import { unread } from '../substrate/bus/look.ts';
import { countDead } from '../substrate/bus/dead.ts';
import { holderOf } from '../substrate/bus/model.ts';
import { listPendingRequests } from '../substrate/identity/requests.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
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
    hints: z.array(z.string()),
  }),
  handler: async ({ topic }, { actor, grant, substrate, daemon }) => {
    const now = substrate.sources.now();
    const own = grant === null ? [] : await substrate.read((db) => listPendingRequests(db, now, grant.id));
    // A letter box without a key to it is no news.
    const mail = actor.scopes.has('bus.receive')
      ? await substrate.read((db) => unread(db, holderOf(actor), now))
      : { waiting: 0, from: [] };
    // Dead letters wait for the owner alone.
    const dead = grant === null ? await substrate.read(countDead) : 0;
    const expires = grant?.expiresAt ?? null;
    return {
      you: {
        name: actor.id,
        kind: actor.kind,
        scopes: grant === null ? [] : [...grant.scopes],
        expires: expires === null ? null : isoTime(expires),
      },
      seed: { id: substrate.seed, version: daemon.version, receipts: (await substrate.log()).size },
      waiting: [
        ...mailLines(mail),
        ...(dead === 0 ? [] : [`${counted(dead, 'dead letter')}: \`seed bus dead list\`.`]),
        ...own.map(({ body }) => `Your request ${body.id} for ${body.scopes.join(', ')} waits for the owner.`),
      ],
      hints: hintsFor(topic),
    };
  },
  text: ({ you, seed, waiting, hints }) =>
    [
      `You are ${you.name} (${you.kind}${you.expires === null ? '' : `, until ${you.expires}`}) in the seed ${seed.id.slice(0, 12)}, version ${seed.version}, ${counted(seed.receipts, 'receipt')}.`,
      you.scopes.length === 0 ? '' : `You may: ${you.scopes.join(', ')}.`,
      ...(waiting.length === 0 ? ['Nothing waits for you.'] : waiting),
      ...hints,
    ]
      .filter((line) => line !== '')
      .join('\n'),
});

function mailLines({ waiting, from }: Unread): string[] {
  return waiting === 0 ? [] : [`${counted(waiting, 'message')} for you, from ${from.join(', ')}: bus_receive.`];
}

function hintsFor(topic: string | undefined): string[] {
  const always = 'Everything done here leaves a signed receipt; receipt_get reads one.';
  const asking = 'If you need more than you may, ask the owner with membrane_request; nobody else can grant it.';
  return topic === undefined ? [always, asking] : [asking];
}
