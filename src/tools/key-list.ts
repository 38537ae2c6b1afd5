import * as z from 'zod';
import { listGrants } from '../substrate/identity/grants.ts';
import { defineTool } from './define.ts';
import { GrantView, viewGrant } from './grant-view.ts';

export const keyList = defineTool({
  name: 'key_list',
  title: 'List access keys and agents',
  description: 'Use when you want to see who may come in.',
  scope: 'key.list',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({ door: z.enum(['http', 'agent']).default('http') }),
  output: z.object({ grants: z.array(GrantView) }),
  handler: async ({ door }, { daemon, substrate }) => {
    await daemon.settleUse();
    return substrate.read(async (db) => {
      const grants: GrantView[] = [];
      for (const grant of await listGrants(db, door)) grants.push(await viewGrant(db, grant));
      return { grants };
    });
  },
});
