import * as z from 'zod';
import { listSilent, readableSession } from '../substrate/sessions/handover.ts';
import { listHandoffs, listOffersFor } from '../substrate/sessions/handoffs.ts';
import type { Session } from '../substrate/sessions/model.ts';
import { listHeld } from '../substrate/sessions/sessions.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
import { HandoffView, viewHandoff } from './handoff-view.ts';
import { SessionId } from './session-schema.ts';
import { lines } from './text.ts';

const SHOWN_MAX = 10;

const Brief = z.object({
  session_id: z.string(),
  holder: z.string(),
  goal: z.string(),
  next: z.string(),
  changed: z.string(),
});
type Brief = z.infer<typeof Brief>;

export const handoffStatus = defineTool({
  name: 'handoff_status',
  title: 'What is being handed over',
  description:
    'Use when you want to know what is offered to you, what silent agents left, what you hold, and what became of your offers.',
  scope: 'handoff.accept',
  surface: 'full',
  access: 'read',
  input: z.strictObject({ session_id: SessionId.optional().describe('Also the handoffs of this one') }),
  output: z.object({
    offered: z.array(HandoffView).describe('To you'),
    silent: z.array(Brief).describe('Of local agents that are gone'),
    held: z.array(Brief).describe('By you'),
    handoffs: z.array(HandoffView).describe('Of the session'),
  }),
  text: ({ offered, silent, held, handoffs }) =>
    lines(
      ...offered.map(({ from, session_id: id, goal, note }) => `${from} offers you session ${id}: ${say(goal, note)}`),
      ...silent.map(({ holder, session_id: id, goal, next }) => `${holder} is gone; session ${id}: ${say(goal, next)}`),
      ...held.map(({ session_id: id, goal, next }) => `You hold session ${id}: ${say(goal, next)}`),
      ...handoffs.map(
        ({ handoff, from, to, status, expires }) => `${handoff}: ${from} to ${to}, ${status}, until ${expires}`,
      ),
      offered.length + silent.length + held.length + handoffs.length === 0 ? 'Nothing is being handed over.' : '',
    ),
  handler: async ({ session_id: id }, { actor, daemon, substrate }) => {
    const now = substrate.sources.now();
    return substrate.read(async (db) => {
      if (id !== undefined) await readableSession(db, id, actor, now);
      const handoffs = id === undefined ? [] : await listHandoffs(db, id, SHOWN_MAX);
      const offered = await listOffersFor(db, actor, now, SHOWN_MAX);
      // A helper goes on with what it was given, and need not know what there is.
      const isLocal = actor.kind !== 'helper';
      const look = { actor, goneSince: daemon.goneSince, now };
      const silent = isLocal ? await listSilent(db, look, SHOWN_MAX) : [];
      return {
        offered: offered.map((handoff) => viewHandoff(handoff, now)),
        silent: silent.map(brief),
        held: (await listHeld(db, actor.grant, SHOWN_MAX)).map(brief),
        handoffs: handoffs.map((handoff) => viewHandoff(handoff, now)),
      };
    });
  },
});

function brief({ id, holderName: holder, checkpoint, changedAt }: Session): Brief {
  const { goal, next } = checkpoint;
  return { session_id: id, holder, goal, next, changed: isoTime(changedAt) };
}

function say(goal: string, more: string): string {
  return `${goal === '' ? 'no goal said' : goal}${more === '' ? '' : ` (${more})`}`;
}
