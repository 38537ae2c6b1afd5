import * as z from 'zod';
import { appendToSession, pickOne } from '../substrate/sessions/work.ts';
import { defineTool } from './define.ts';
import { IdempotencyKey, Messages, toMessages } from './route-schema.ts';
import { Epoch, SessionId } from './session-schema.ts';

export const sessionAppend = defineTool({
  name: 'session_append',
  title: 'Add messages to a session',
  description:
    'Use when something was said or a tool call was carried out: it is added to the end of the transcript. A tool result answers an open call, once.',
  scope: 'session.use',
  surface: 'full',
  access: 'write',
  input: z.strictObject({
    session_id: SessionId.optional(),
    messages: Messages.min(1).meta({ as: 'route_complete' }),
    epoch: Epoch,
    idempotency_key: IdempotencyKey.optional(),
  }),
  output: z.object({
    session_id: z.string(),
    from: z.int(),
    length: z.int(),
    hash: z.string(),
    repeated: z.boolean(),
    receipt: z.int().nullable(),
  }),
  text: ({ from, length, repeated }) =>
    repeated ? `Added before, at ${from}.` : `Added at ${from}; ${length} messages now.`,
  handler: async ({ session_id: named, epoch = null, idempotency_key: key = null, ...input }, { actor, substrate }) => {
    const messages = toMessages(input.messages);
    const id = await substrate.read((db) => pickOne(db, actor, named));
    const added = await appendToSession(substrate, id, { actor, epoch, messages, key });
    const { session, from, repeated, receipt } = added;
    return { session_id: id, from, length: session.length, hash: session.runningHash, repeated, receipt };
  },
});
