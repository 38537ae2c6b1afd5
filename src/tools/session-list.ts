import * as z from 'zod';
import { listSessions } from '../substrate/sessions/sessions.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';

const Row = z.object({
  session_id: z.string(),
  holder: z.string(),
  epoch: z.int(),
  status: z.string(),
  origin: z.string(),
  goal: z.string(),
  messages: z.int(),
  changed: z.string(),
});

export const sessionList = defineTool({
  name: 'session_list',
  title: 'Every session',
  description: 'Use when you want to see which work goes on, and who holds it.',
  scope: null,
  surface: 'owner',
  access: 'read',
  input: z.strictObject({
    limit: z.int().min(1).max(200).default(50),
    cursor: z
      .string()
      .regex(/^\d{1,15}\.[0-9a-f]{32}$/, 'a cursor as this gave it')
      .optional(),
  }),
  output: z.object({ sessions: z.array(Row), next_cursor: z.string().nullable() }),
  handler: async ({ limit, cursor }, { substrate }) => {
    const [at = '', id = ''] = cursor?.split('.') ?? [];
    const before = cursor === undefined ? null : { at: Number(at), id };
    const sessions = await substrate.read((db) => listSessions(db, { limit, before }));
    const last = sessions.length === limit ? sessions.at(-1) : undefined;
    return {
      sessions: sessions.map(({ id: session, holderName, epoch, status, origin, checkpoint, length, changedAt }) => ({
        session_id: session,
        holder: holderName,
        epoch,
        status,
        origin,
        goal: checkpoint.goal,
        messages: length,
        changed: isoTime(changedAt),
      })),
      next_cursor: last === undefined ? null : `${last.changedAt}.${last.id}`,
    };
  },
});
