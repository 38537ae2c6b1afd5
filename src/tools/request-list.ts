import * as z from 'zod';
import { listPendingRequests, listRequests } from '../substrate/identity/requests.ts';
import { defineTool } from './define.ts';
import { RequestView, viewRequest } from './request-view.ts';

export const requestList = defineTool({
  name: 'request_list',
  title: 'List what agents ask for',
  description: 'Use when you want to see what waits for your decision, or with all: true what was decided before.',
  scope: 'request.list',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({ all: z.boolean().default(false) }),
  output: z.object({ requests: z.array(RequestView) }),
  handler: async ({ all }, { substrate }) => {
    const now = substrate.sources.now();
    return substrate.read(async (db) => {
      const requests = [];
      for (const each of await (all ? listRequests(db, now) : listPendingRequests(db, now))) {
        requests.push(await viewRequest(db, each));
      }
      return { requests };
    });
  },
});
