import { isAbsolute } from 'node:path';
import * as z from 'zod';
import { receiptEffect } from '../substrate/effect.ts';
import { sessionOf } from '../substrate/sessions/sessions.ts';
import { defineTool } from './define.ts';
import { SessionId } from './session-schema.ts';

export const sessionExport = defineTool({
  name: 'session_export',
  title: 'Export a session',
  description: 'Use when a session with its whole transcript should be kept, or gone on with in another seed.',
  scope: null,
  surface: 'owner',
  access: 'write',
  input: z.strictObject({
    session_id: SessionId,
    out: z.string().min(1).max(4_096).refine(isAbsolute, 'an absolute path'),
  }),
  output: z.object({
    session_id: z.string(),
    out: z.string(),
    messages: z.int(),
    hash: z.string(),
    receipt: z.int(),
  }),
  handler: async ({ session_id: id, out }, { substrate, actor, signal, progress }) => {
    const session = await substrate.read((db) => sessionOf(db, id));
    const { length: messages, runningHash: hash } = session;
    const subject = { type: 'session', id };
    const detail = { messages, hash };
    const receipt = await receiptEffect(substrate, { action: 'session.export', actor, subject, detail }, async () => {
      const { exportSession } = await import('../mind/sessions/export.ts');
      const onProgress = (done: number): void => progress({ done, total: messages, what: 'messages' });
      await exportSession(substrate, session, { out, signal, onProgress });
    });
    return { session_id: id, out, messages, hash, receipt };
  },
});
