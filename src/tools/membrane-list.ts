import * as z from 'zod';
import type { Grant } from '../substrate/identity/grants.ts';
import { findGrant, grantFamily } from '../substrate/identity/grants.ts';
import { defineTool } from './define.ts';
import { GrantView, grantLine, viewGrant } from './grant-view.ts';
import { lines, more } from './text.ts';

export const membraneList = defineTool({
  name: 'membrane_list',
  title: 'List the keys under yours',
  description: 'Use when you want to see the keys that were registered under your own.',
  scope: 'membrane.list',
  surface: 'full',
  access: 'read',
  input: z.strictObject({
    limit: z.int().min(1).max(100).default(20),
    cursor: z.int().min(0).max(100_000).default(0).describe('next_cursor of the page before'),
  }),
  output: z.object({ keys: z.array(GrantView), next_cursor: z.int().nullable() }),
  text: ({ keys, next_cursor: next }) =>
    lines(keys.length === 0 ? 'No key stands under yours.' : '', ...keys.map(grantLine), more(next)),
  handler: async ({ limit, cursor }, { daemon, grant, substrate }) => {
    if (grant === null) return { keys: [], next_cursor: null };
    await daemon.settleUse();
    return substrate.read(async (db) => {
      const family = (await grantFamily(db, grant.id)).slice(1);
      const page: Grant[] = [];
      for (const id of family.slice(cursor, cursor + limit))
        page.push(...[await findGrant(db, id)].filter((found) => found !== null));
      const keys: GrantView[] = [];
      for (const member of page) keys.push(await viewGrant(db, member));
      return { keys, next_cursor: cursor + limit < family.length ? cursor + limit : null };
    });
  },
});
