import * as z from 'zod';
import { renameGrant } from '../substrate/identity/grants.ts';
import { defineTool } from './define.ts';
import { GrantName } from './grant-view.ts';

export const agentRename = defineTool({
  name: 'agent_rename',
  title: 'Rename a local agent',
  description: 'Use when a local agent should go by another name; what it is, and its receipts, stay.',
  scope: 'agent.rename',
  surface: 'owner',
  access: 'write',
  input: z.strictObject({ agent: z.string().min(1).max(64), name: GrantName }),
  output: z.object({ receipt: z.int() }),
  handler: async ({ agent, name }, { actor, keys, substrate }) => {
    const grant = await keys.find(actor, 'agent', agent);
    const { seq } = await substrate.operate({ action: 'agent.rename', actor }, async (op) => {
      op.receipt({ subject: { type: 'agent', id: grant.id }, detail: { before: grant.name, name } });
      await renameGrant(op, grant.id, name);
    });
    return { receipt: seq };
  },
});
