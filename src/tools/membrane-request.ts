import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { findGrant } from '../substrate/identity/grants.ts';
import type { AccessRequest } from '../substrate/identity/requests.ts';
import { insertRequest, listPendingRequests } from '../substrate/identity/requests.ts';
import { Scope } from '../substrate/identity/scopes.ts';
import { isoTime, newId } from '../substrate/sources.ts';
import type { ReadHandle } from '../substrate/substrate.ts';
import { defineTool } from './define.ts';
import { lines } from './text.ts';

const REQUEST_MS = 7 * 86_400_000;

const output = z.object({
  status: z.enum(['asked', 'waiting', 'held']).describe('waiting: the same was asked before. held: you may already'),
  scopes: z.array(z.string()).describe('What it is about'),
  request: z.string().nullable(),
  hash: z.string().nullable(),
  expires: z.string().nullable(),
  owner_decides_with: z.string().nullable(),
  receipt: z.int().nullable().describe('null where nothing was changed'),
});
type Answer = z.infer<typeof output>;

const SAID: Readonly<Record<Answer['status'], string>> = {
  held: 'You hold that already; there is nothing to ask for.',
  waiting: 'The same request of yours waits already; nothing was added.',
  asked: 'Asked.',
};

export const membraneRequest = defineTool({
  name: 'membrane_request',
  title: 'Ask the owner',
  description:
    'Use when you need a scope that you do not hold. Only the owner can say yes, at the owner’s own door; tell the owner that you asked. Asking again does not help.',
  scope: null,
  surface: 'daily',
  access: 'write',
  input: z.strictObject({
    scopes: z.array(Scope).min(1).max(20),
    reason: z.string().min(1).max(500).describe('What for, in words for the owner'),
  }),
  output,
  text: ({ status, scopes, request, hash, expires, owner_decides_with: command, receipt }) =>
    lines(
      SAID[status],
      request === null
        ? ''
        : `Request ${request} for ${scopes.join(', ')}, hash ${hash}, waits for the owner until ${expires}.`,
      command === null ? '' : `Tell the owner, who reads and decides it with \`${command}\`; nobody else can.`,
      receipt === null ? '' : `Receipt ${receipt}.`,
    ),
  handler: async ({ scopes: asked, reason }, { actor, grant, substrate }) => {
    if (grant === null) throw new SeedError('conflict', 'The owner need not ask.', { hint: 'Use `seed key issue`.' });
    const now = substrate.sources.now();
    const before = await substrate.read((db) => openNeed(db, grant.id, asked, now));
    if (before.missing.length === 0) return { ...NOTHING, status: 'held' as const, scopes: [...new Set(asked)] };
    if (before.same !== null) return answerOf('waiting', before.same, null);
    const id = newId(substrate.sources).slice(0, 12);
    const { value, seq } = await substrate.operate({ action: 'membrane.request', actor }, async (op) => {
      op.receipt({ subject: { type: 'request', id }, detail: { scopes: asked } });
      const { missing: scopes, same } = await openNeed(op, grant.id, asked, op.now);
      // Asked twice at the same moment: one of the two was first.
      if (scopes.length === 0 || same !== null) throw askedAlready();
      const body = {
        v: 1 as const,
        id,
        grant: grant.id,
        name: actor.id,
        scopes,
        reason,
        created: op.now,
        expires: op.now + REQUEST_MS,
      };
      const hash = await insertRequest(op, body, op.now);
      op.receipt({ detail: { scopes, hash } });
      return { body, hash };
    });
    return answerOf('asked', value, seq);
  },
});

const NOTHING = { request: null, hash: null, expires: null, owner_decides_with: null, receipt: null } as const;

function answerOf(
  status: 'asked' | 'waiting',
  { body, hash }: Pick<AccessRequest, 'body' | 'hash'>,
  receipt: number | null,
): Answer {
  return {
    status,
    scopes: [...body.scopes],
    request: body.id,
    hash,
    expires: isoTime(body.expires),
    owner_decides_with: `seed requests show ${body.id}`,
    receipt,
  };
}

/** What of the wanted scopes the grant lacks, and the request that asks for just that already. */
async function openNeed(
  db: ReadHandle,
  grant: string,
  wanted: readonly Scope[],
  now: number,
): Promise<{ missing: Scope[]; same: AccessRequest | null }> {
  // Of the row: a token that was narrowed lacks what its grant holds, and the owner need not decide that.
  const held = new Set((await findGrant(db, grant))?.scopes);
  const missing = [...new Set(wanted)].filter((scope) => !held.has(scope)).toSorted();
  const pending = await listPendingRequests(db, now, grant);
  const same = pending.find(({ body }) => body.scopes.toSorted().join(' ') === missing.join(' '));
  return { missing, same: same ?? null };
}

function askedAlready(): SeedError {
  return new SeedError('conflict', 'You asked for that a moment ago.', { hint: 'seed_start says what waits for you.' });
}
