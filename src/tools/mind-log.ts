import * as z from 'zod';
import { ORGANS } from '../mind/organs/traits.ts';
import { listDecisions } from '../substrate/mind/log.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
import { noSuchOrgan } from './mind-view.ts';

/** The name under which stands what concerned all organs. */
const EVERY = 'all';

const Decision = z.object({
  n: z.int(),
  at: z.string(),
  organ: z.string(),
  act: z.string(),
  because: z.string(),
  ended: z.string().nullable().describe('Null of what is no run'),
  done: z.int().nullable(),
  says: z.string().nullable(),
});

export const mindLog = defineTool({
  name: 'mind_log',
  title: 'Why the mind did what it did',
  description: 'Use when you want to see what the mind decided and why, the newest first.',
  scope: 'mind.log',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({
    limit: z.int().min(1).max(500).default(50),
    cursor: z.int().min(1).optional(),
    organ: z.string().max(64).optional(),
  }),
  output: z.object({ decisions: z.array(Decision), next_cursor: z.int().nullable() }),
  handler: async ({ limit, cursor, organ }, { substrate }) => {
    if (organ !== undefined && organ !== EVERY && !ORGANS.some(({ name }) => name === organ)) throw noSuchOrgan(organ);
    const wanted = { limit: limit + 1, before: cursor ?? null, organ: organ ?? null };
    const found = await substrate.read((db) => listDecisions(db, wanted));
    const rows = found.slice(0, limit);
    return {
      decisions: rows.map(({ at, ended_at: ended, ...row }) => ({
        ...row,
        at: isoTime(at),
        ended: ended === null ? null : isoTime(ended),
      })),
      next_cursor: found.length > limit ? (rows.at(-1)?.n ?? null) : null,
    };
  },
});
