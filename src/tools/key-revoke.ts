import * as z from 'zod';
import { defineTool } from './define.ts';

export const keyRevoke = defineTool({
  name: 'key_revoke',
  title: 'Revoke an access key',
  description: 'Use when a key, or a local agent, should be shut out now, with everything issued under it.',
  scope: 'key.revoke',
  surface: 'owner',
  access: 'write',
  annotations: { destructive: true, idempotent: true },
  input: z.strictObject({ key: z.string().min(1).max(64), door: z.enum(['http', 'agent']).default('http') }),
  output: z.object({ name: z.string(), removed: z.int(), cut: z.int(), receipt: z.int() }),
  handler: async ({ key, door }, { actor, keys }) => {
    const grant = await keys.find(actor, door, key);
    const { removed, cut, receipt } = await keys.revoke(actor, door === 'http' ? 'key.revoke' : 'agent.forget', grant);
    return { name: grant.name, removed: removed.length, cut, receipt };
  },
});
