import * as z from 'zod';
import { remember } from '../substrate/memory/memory.ts';
import { memoryId, memoryNr, TEXT_BYTES_MAX } from '../substrate/memory/model.ts';
import { defineTool } from './define.ts';
import { Kind, MemoryId, readTime, Space, Subject, When } from './memory-view.ts';

export const memoryWrite = defineTool({
  name: 'memory_write',
  title: 'Remember something',
  description:
    'Use when something should be known next time: a fact, a decision and why, what was said. One thing each, understandable by itself. It stays until it is forgotten.',
  scope: 'memory.write:SPACE',
  surface: 'daily',
  access: 'write',
  annotations: { idempotent: false },
  input: z.strictObject({
    text: z.string().min(1).max(TEXT_BYTES_MAX),
    space: Space.default('private').describe(
      'private: yours alone; shared: every local agent’s; session:ID; or a name',
    ),
    kind: Kind.optional().describe('Such as fact, decision, preference'),
    subject: Subject.optional().describe('Who or what it is about, or who said it'),
    at: When.optional().describe('When it happened (ISO 8601), if not now'),
    source: z.string().min(1).max(300).optional().describe('The session, message or file that it comes from'),
    thread: z.string().min(1).max(100).regex(/^[^~]/, 'a name that begins with no ~').optional(),
    supersedes: MemoryId.optional().describe('The memory that this one corrects'),
    idempotency_key: z.string().min(1).max(128).optional().describe('The same key again writes nothing twice'),
  }),
  output: z.object({ id: z.string(), receipt: z.int(), repeated: z.boolean() }),
  text: ({ id, receipt, repeated }) => `${repeated ? 'Remembered before' : 'Remembered'} as ${id}. Receipt ${receipt}.`,
  handler: async ({ at, supersedes, idempotency_key: key, ...draft }, { actor, substrate }) => {
    const { nr, receipt, repeated } = await remember(substrate, actor, {
      ...draft,
      key,
      at: readTime('at', at),
      supersedes: supersedes === undefined ? undefined : memoryNr(supersedes),
    });
    return { id: memoryId(nr), receipt, repeated };
  },
});
