import * as z from 'zod';
import { usedMicroUsd } from '../substrate/sessions/budget.ts';
import { readableSession } from '../substrate/sessions/handover.ts';
import { listHops } from '../substrate/sessions/hops.ts';
import type { StoredMessage } from '../substrate/sessions/model.ts';
import { listMessages, listOpenTools } from '../substrate/sessions/messages.ts';
import { pickOne } from '../substrate/sessions/work.ts';
import { defineTool } from './define.ts';
import {
  HopView,
  openMessage,
  sayBudget,
  sayCalls,
  sayCheckpoint,
  sayHop,
  sayMessage,
  SessionId,
  SessionView,
  viewHop,
  viewSession,
} from './session-schema.ts';
import { lines } from './text.ts';

/** UTF-16 units of messages in one answer: with the rest of it, what a client takes at once. */
const PAGE_UNITS_MAX = 16_000;
const CONCISE_UNITS_MAX = 300;
const LIMIT_MAX = 200;
const OPEN_CALLS_MAX = 50;
const HOPS_MAX = 20;

const Place = z.object({ from: z.int(), offset: z.int() });

const Output = SessionView.extend({
  hops: z.array(HopView).describe('From model to model in the middle of an answer'),
  shown: z.array(z.object({ index: z.int(), epoch: z.int(), text: z.string() })).describe('A message each'),
  next: Place.nullable().describe('Where the next page begins'),
});

export const sessionGet = defineTool({
  name: 'session_get',
  title: 'Read a session',
  description:
    'Use when you want to know where a session stands, or what was said in it: the last messages, or those from a place on. concise shortens each; full is each message’s exact JSON.',
  scope: 'session.use',
  surface: 'full',
  access: 'read',
  subject: ({ session_id: id }) => ({ type: 'session', id: id ?? 'own' }),
  input: z.strictObject({
    session_id: SessionId.optional(),
    from: z.int().min(0).optional(),
    offset: z.int().min(0).default(0).describe('Within the first message'),
    limit: z.int().min(0).max(LIMIT_MAX).default(20),
    detail: z.enum(['concise', 'full']).default('concise'),
  }),
  output: Output,
  text: (view) =>
    lines(
      `Session ${view.session_id}, held by ${view.holder} (epoch ${view.epoch}), ${view.status}; ${view.messages} messages; ${sayBudget(view)}.`,
      sayCheckpoint(view.checkpoint),
      sayCalls(view.open_calls),
      ...view.hops.map(sayHop),
      view.step_call === null ? '' : 'A step is under way: session_step waits for it.',
      ...view.shown.map(({ index, text }) => `${index}. ${text}`),
      view.next === null ? '' : `More with from ${view.next.from}, offset ${view.next.offset}.`,
    ),
  handler: async ({ session_id: named, from, offset, limit, detail }, { actor, substrate }) =>
    substrate.read(async (db) => {
      const now = substrate.sources.now();
      const id = await pickOne(db, actor, named);
      const session = await readableSession(db, id, actor, now);
      const first = from ?? Math.max(0, session.length - limit);
      const messages = await listMessages(db, id, { from: first, limit });
      const write = detail === 'full' ? exact : concise;
      const page = pageOf(messages, { offset: detail === 'full' ? offset : 0, write });
      const tools = await listOpenTools(db, id, OPEN_CALLS_MAX);
      const after = first + messages.length;
      return {
        ...viewSession({ session, tools, usedMicroUsd: await usedMicroUsd(db, id, now) }),
        hops: (await listHops(db, id, HOPS_MAX)).map(viewHop),
        ...page,
        next: page.next ?? (limit > 0 && after < session.length ? { from: after, offset: 0 } : null),
      };
    }),
});

function exact({ body }: StoredMessage): string {
  return body;
}

function concise(message: StoredMessage): string {
  return sayMessage(openMessage(message), CONCISE_UNITS_MAX).slice(0, PAGE_UNITS_MAX).toWellFormed();
}

/** As many messages as one answer has room for; one that is larger than that comes in pieces. */
function pageOf(
  messages: readonly StoredMessage[],
  { offset, write }: { offset: number; write: (message: StoredMessage) => string },
): Pick<z.infer<typeof Output>, 'shown' | 'next'> {
  const shown: { index: number; epoch: number; text: string }[] = [];
  let left = PAGE_UNITS_MAX;
  for (const message of messages) {
    const { index, epoch } = message;
    const start = shown.length === 0 ? offset : 0;
    const text = write(message).slice(start);
    if (text.length > left && shown.length > 0) return { shown, next: { from: index, offset: 0 } };
    const end = endOfPiece(text, left);
    shown.push({ index, epoch, text: text.slice(0, end) });
    if (end < text.length) return { shown, next: { from: index, offset: start + end } };
    left -= end;
  }
  return { shown, next: null };
}

/** Where a piece of that size may end: not between the halves of one character. */
function endOfPiece(text: string, size: number): number {
  if (text.length <= size) return text.length;
  return text.slice(0, size).isWellFormed() ? size : size - 1;
}
