import * as z from 'zod';
import { ANYBODY, offerSession } from '../substrate/sessions/handover.ts';
import { pickOne } from '../substrate/sessions/work.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
import { Micro, SessionId } from './session-schema.ts';
import { lines } from './text.ts';

const LIFE_S = 86_400;
const LIFE_S_MAX = 30 * 86_400;

export const handoffOffer = defineTool({
  name: 'handoff_offer',
  title: 'Hand your work to another agent',
  description:
    'Use when another agent should go on with your session. Write a session_checkpoint first. You hold it until the other accepts; the token is shown once.',
  scope: 'handoff.offer',
  surface: 'daily',
  access: 'write',
  input: z.strictObject({
    session_id: SessionId.optional(),
    to: z
      .string()
      .regex(/^(?:\*|[a-z0-9][a-z0-9._-]{0,63})$/, 'a name, or *')
      .default(ANYBODY)
      .describe('A name; * is whoever has the token'),
    note: z.string().max(2_000).default(''),
    expires_in_s: z.int().min(1).max(LIFE_S_MAX).default(LIFE_S),
    budget_micro_usd: Micro.optional().describe('Of what is left; all without it'),
    scopes: z.array(z.string().max(100)).max(100).optional().describe('To pass on; all without it'),
  }),
  output: z.object({
    handoff: z.string(),
    token: z.string(),
    session_id: z.string(),
    to: z.string(),
    expires: z.string(),
    receipt: z.int(),
  }),
  text: ({ handoff, token, session_id: session, to, expires, receipt }) =>
    lines(
      `Offered session ${session} to ${to === ANYBODY ? 'whoever has the token' : to}, until ${expires}.`,
      `To accept: handoff_accept {"token":"${token}"}${to === ANYBODY ? '' : '; a local agent of that name also with {"latest":true}, a client of the gateway by going on'}.`,
      `Handoff ${handoff}, receipt ${receipt}.`,
    ),
  handler: async ({ session_id: named, to, note, expires_in_s: seconds, ...rest }, { actor, substrate }) => {
    const session = await substrate.read((db) => pickOne(db, actor, named));
    const { value, seq } = await offerSession(substrate, actor, {
      session,
      audience: to,
      note,
      lifeMs: seconds * 1_000,
      budgetMicroUsd: rest.budget_micro_usd ?? null,
      scopes: rest.scopes ?? null,
    });
    const { handoff, token } = value;
    return { handoff: handoff.id, token, session_id: session, to, expires: isoTime(handoff.expiresAt), receipt: seq };
  },
});
