import * as z from 'zod';
import { defineTool } from './define.ts';
import { GrantView, viewGrant } from './grant-view.ts';

export const membraneWhoami = defineTool({
  name: 'membrane_whoami',
  title: 'Who am I here',
  description: 'Use when you need your own name, scopes and expiry in this seed.',
  scope: null,
  surface: 'full',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({ name: z.string(), kind: z.string(), grant: GrantView.nullable() }),
  handler: async (_input, { actor, grant, substrate }) => ({
    name: actor.id,
    kind: actor.kind,
    grant: grant === null ? null : await substrate.read((db) => viewGrant(db, grant)),
  }),
});
