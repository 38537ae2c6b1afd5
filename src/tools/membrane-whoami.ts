import * as z from 'zod';
import { defineTool } from './define.ts';
import { GrantView, grantLine, viewGrant } from './grant-view.ts';

export const membraneWhoami = defineTool({
  name: 'membrane_whoami',
  title: 'Who am I here',
  description: 'Use when you need your own name, scopes and expiry in this seed.',
  scope: null,
  surface: 'full',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({ name: z.string(), kind: z.string(), grant: GrantView.nullable() }),
  text: ({ name, kind, grant }) => (grant === null ? `You are ${name} (${kind}).` : `You are ${grantLine(grant)}`),
  handler: async (_input, { actor, daemon, grant, substrate }) => {
    await daemon.settleUse();
    return {
      name: actor.id,
      kind: actor.kind,
      grant: grant === null ? null : await substrate.read((db) => viewGrant(db, grant)),
    };
  },
});
