/** Handoffs as tools show them, and a package as a short narrative. */
import * as z from 'zod';
import { dollars } from '../substrate/ledger/money.ts';
import type { Handoff } from '../substrate/sessions/handoffs.ts';
import type { HandoffPackage } from '../substrate/sessions/package.ts';
import { isoTime } from '../substrate/sources.ts';
import { list, openMessage, sayCheckpoint, sayMessage } from './session-schema.ts';
import { lines } from './text.ts';

const TAIL_UNITS_MAX = 400;

/** A handoff without its package. */
export const HandoffView = z.object({
  handoff: z.string(),
  session_id: z.string(),
  from: z.string(),
  to: z.string(),
  status: z.string(),
  goal: z.string(),
  note: z.string(),
  offered: z.string(),
  expires: z.string(),
});
export type HandoffView = z.infer<typeof HandoffView>;

export function viewHandoff(handoff: Handoff, now: number): HandoffView {
  const { id, session, offererName: from, audience: to, status, note, offeredAt, expiresAt } = handoff;
  return {
    handoff: id,
    session_id: session,
    from,
    to,
    status: status === 'offered' && expiresAt <= now ? 'expired' : status,
    goal: handoff.package.goal,
    note,
    offered: isoTime(offeredAt),
    expires: isoTime(expiresAt),
  };
}

/** What was asked, what is done, what is in doubt, what is next. */
export function sayPackage(handoff: HandoffPackage): string {
  const { tools, transcript, note, lineage, losses, deadline, budget_micro_usd: budget } = handoff;
  const said = transcript.tail.map((body) => sayMessage(openMessage({ body }), TAIL_UNITS_MAX));
  const called = tools.map(({ call, name, key, state }) => `${name}, call ${call}, key ${key}: ${state}`);
  return lines(
    sayCheckpoint(handoff),
    list('In doubt, look or ask before you do it again', called),
    list(`Said last, of ${transcript.messages} messages`, said),
    note === '' ? '' : `Note: ${note}`,
    budget === null ? '' : `Budget that goes along: ${dollars(budget)}`,
    deadline === null ? '' : `Deadline: ${isoTime(deadline)}`,
    `Held before by: ${lineage.map(({ holder }) => holder).join(', ')}`,
    list('Not in here', losses),
  );
}
