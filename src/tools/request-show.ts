import * as z from 'zod';
import { getRequest } from '../substrate/identity/requests.ts';
import { defineTool } from './define.ts';
import { RequestView, viewRequest } from './request-view.ts';

export const requestShow = defineTool({
  name: 'request_show',
  title: 'Show one request',
  description: 'Use when you want to read a request before you decide it, or see what became of it.',
  scope: 'request.list',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({ id: z.string().min(1).max(64) }),
  output: RequestView,
  handler: async ({ id }, { substrate }) =>
    substrate.read(async (db) => viewRequest(db, await getRequest(db, id, substrate.sources.now()))),
});
