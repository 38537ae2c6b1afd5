import * as z from 'zod';
import { rememberAll } from '../substrate/memory/memory.ts';
import { BATCH_MEMORIES_MAX, memoryId, memoryNr, TEXT_BYTES_MAX } from '../substrate/memory/model.ts';
import { defineTool } from './define.ts';
import { Kind, MemoryId, readTime, Space, Subject, When } from './memory-view.ts';

const Imported = z.strictObject({
  text: z.string().min(1).max(TEXT_BYTES_MAX),
  space: Space,
  kind: Kind.optional(),
  subject: Subject.optional(),
  at: When.optional(),
  source: z.string().min(1).max(300).optional(),
  thread: z.string().min(1).max(100).regex(/^[^~]/, 'a name that begins with no ~').optional(),
  supersedes: MemoryId.optional(),
  id: MemoryId.optional().describe('Its id where it was exported: the same one here is not doubled'),
  idempotency_key: z.string().min(1).max(128),
});

export const memoryImport = defineTool({
  name: 'memory_import',
  title: 'Import memories',
  description: 'Use when memories come from elsewhere: all of a batch under one receipt, none of them twice.',
  scope: 'memory.import',
  surface: 'owner',
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({ memories: z.array(Imported).min(1).max(BATCH_MEMORIES_MAX) }),
  output: z.object({
    receipt: z.int(),
    memories: z.array(z.object({ id: z.string(), repeated: z.boolean() })),
  }),
  handler: async ({ memories }, { actor, substrate }) => {
    const drafts = memories.map(({ at, supersedes, id, idempotency_key: key, ...draft }) => ({
      ...draft,
      key,
      at: readTime('at', at),
      exportedAs: id === undefined ? undefined : memoryNr(id),
      supersedes: supersedes === undefined ? undefined : memoryNr(supersedes),
    }));
    const { value, seq } = await rememberAll(substrate, actor, drafts);
    return { receipt: seq, memories: value.map(({ nr, repeated }) => ({ id: memoryId(nr), repeated })) };
  },
});
