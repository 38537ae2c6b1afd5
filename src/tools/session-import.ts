import { isAbsolute } from 'node:path';
import * as z from 'zod';
import { TRANSCRIPT_CLIENTS } from '../mind/sessions/import/format.ts';
import { AgentName } from './agent-schema.ts';
import { defineTool } from './define.ts';

export const sessionImport = defineTool({
  name: 'session_import',
  title: 'Import a transcript',
  description:
    'Use when work that was begun in a client’s own conversation, or exported from a seed, should go on as a session.',
  scope: null,
  surface: 'owner',
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({
    from: z.enum([...TRANSCRIPT_CLIENTS, 'seed']),
    file: z.string().min(1).max(4_096).refine(isAbsolute, 'an absolute path'),
    /** The local agent that is to hold it; the owner without. */
    as: AgentName.optional(),
  }),
  output: z.object({
    session_id: z.string(),
    outcome: z.enum(['new', 'added', 'unchanged']),
    origin: z.string(),
    holder: z.string(),
    goal: z.string(),
    /** Messages and tool calls of this import, and those of the whole session that have no result. */
    messages: z.int(),
    calls: z.int(),
    in_doubt: z.int(),
    length: z.int(),
    hash: z.string(),
    left_out: z.array(z.string()),
    torn: z.boolean(),
    receipt: z.int().nullable(),
  }),
  handler: async ({ from, file: path, as = null }, { actor, substrate, signal, progress }) => {
    // Loaded when it is used, which for most homes is never.
    const { importTranscript } = await import('../mind/sessions/import/import.ts');
    const onProgress = (done: number, total: number): void => progress({ done, total, what: 'bytes' });
    const done = await importTranscript(substrate, { actor, path, from, as, signal, onProgress });
    const { session, outcome, messages, calls, inDoubt, leftOut, torn, receipt } = done;
    return {
      session_id: session.id,
      outcome,
      origin: session.origin,
      holder: session.holderName,
      goal: session.checkpoint.goal,
      messages,
      calls,
      in_doubt: inDoubt,
      length: session.length,
      hash: session.runningHash,
      left_out: [...leftOut],
      torn,
      receipt,
    };
  },
});
