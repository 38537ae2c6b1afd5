import * as z from 'zod';
import { listPendingRequests } from '../substrate/identity/requests.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';

export const requestList = defineTool({
  name: 'request_list',
  title: 'List what agents ask for',
  description: 'Use when you want to see what waits for your decision.',
  scope: 'request.list',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({
    requests: z.array(
      z.object({
        id: z.string(),
        agent: z.string(),
        scopes: z.array(z.string()),
        reason: z.string(),
        hash: z.string(),
        created: z.string(),
        expires: z.string(),
      }),
    ),
  }),
  handler: async (_input, { substrate }) => {
    const pending = await substrate.read((db) => listPendingRequests(db, substrate.sources.now()));
    return {
      requests: pending.map(({ body, hash }) => ({
        id: body.id,
        agent: body.name,
        scopes: [...body.scopes],
        reason: body.reason,
        hash,
        created: isoTime(body.created),
        expires: isoTime(body.expires),
      })),
    };
  },
});
