import * as z from 'zod';
import { SeedError } from '../errors.ts';
import type { Memory } from '../substrate/memory/look.ts';
import { neighboursOf, searchMemories } from '../substrate/memory/look.ts';
import { memoryId, QUERY_CHARS_MAX } from '../substrate/memory/model.ts';
import { snippet } from '../substrate/memory/search.ts';
import { defineTool } from './define.ts';
import { Kind, memoryBlock, MemoryView, readTime, Space, Subject, viewMemory, When } from './memory-view.ts';
import { lines, more } from './text.ts';

/** Characters of one answer's texts, shared by its results; hosts warn beyond some 10,000 tokens. */
const ANSWER_CHARS = 30_000;
const RESULT_CHARS_MAX = 2_000;
const NEIGHBOUR_CHARS = 300;

const Neighbour = z.object({ id: z.string(), text: z.string() });
const Result = MemoryView.extend({
  cut: z.boolean().describe('A part of the text; memory_get has all of it'),
  matched: z.boolean().describe('Has the words itself, or stands beside what has'),
  before: z.array(Neighbour).optional(),
  after: z.array(Neighbour).optional(),
});

export const memorySearch = defineTool({
  name: 'memory_search',
  title: 'Search the memory',
  description:
    'Use when something may be known already: before you ask, and when you begin. Any words will do; the best answer comes first.',
  scope: 'memory.read:SPACE',
  surface: 'daily',
  access: 'read',
  input: z.strictObject({
    query: z.string().max(QUERY_CHARS_MAX).describe('What you want to know, in words'),
    space: Space.optional().describe('Only this one; all that you may read if left out'),
    kind: Kind.optional(),
    subject: Subject.optional(),
    since: When.optional().describe('ISO 8601'),
    until: When.optional(),
    neighbours: z.int().min(0).max(3).default(0).describe('How many from before and after each to show too'),
    limit: z.int().min(1).max(50).default(10),
    cursor: z.string().max(40).optional().describe('next_cursor of the page before'),
  }),
  output: z.object({ results: z.array(Result), next_cursor: z.string().nullable() }),
  text: ({ results, next_cursor: next }) =>
    lines(
      results.length === 0 ? 'Nothing is remembered that has any of these words.' : '',
      ...results.map(({ before = [], after = [], ...result }) =>
        lines(
          ...before.map(({ id, text }) => `  before, ${id}: ${text}`),
          memoryBlock(result),
          ...after.map(({ id, text }) => `  after, ${id}: ${text}`),
        ),
      ),
      more(next),
    ),
  handler: async ({ query, space, limit, cursor, neighbours, ...input }, { actor, substrate }) => {
    const { offset, asOf } = readCursor(cursor, (await substrate.log()).size - 1);
    const filter = {
      asOf,
      kind: input.kind,
      subject: input.subject,
      since: readTime('since', input.since),
      until: readTime('until', input.until, { end: true }),
    };
    const chars = Math.min(RESULT_CHARS_MAX, Math.floor(ANSWER_CHARS / limit / (1 + neighbours)));
    return substrate.read(async (db) => {
      const { found, more: goesOn } = await searchMemories(db, actor, { query, space, filter, limit, offset });
      const results: z.infer<typeof Result>[] = [];
      for (const { memory, matched } of found) {
        const { text, cut } = snippet(memory.text, query, chars);
        const beside = await neighboursOf(db, actor, memory, neighbours);
        results.push({
          ...viewMemory(memory, actor, text),
          cut,
          matched,
          ...(neighbours === 0 ? {} : { before: beside.before.map(brief), after: beside.after.map(brief) }),
        });
      }
      return { results, next_cursor: goesOn ? `${offset + limit}.${asOf}` : null };
    });
  },
});

function brief({ nr, text }: Memory): z.infer<typeof Neighbour> {
  return { id: memoryId(nr), text: text.length <= NEIGHBOUR_CHARS ? text : `${text.slice(0, NEIGHBOUR_CHARS)} …` };
}

/** A cursor is how far the pages have come, and up to which receipt they all look. */
function readCursor(cursor: string | undefined, newest: number): { offset: number; asOf: number } {
  if (cursor === undefined) return { offset: 0, asOf: newest };
  const [, offset, asOf] = /^(\d{1,6})\.(\d{1,15})$/.exec(cursor) ?? [];
  if (offset !== undefined && asOf !== undefined) return { offset: Number(offset), asOf: Number(asOf) };
  throw new SeedError('invalid_input', 'cursor: That is none of this tool’s.', {
    hint: 'Give next_cursor of the page before, or leave it out to begin anew.',
    data: { argument: 'cursor' },
  });
}
