import * as z from 'zod';
import type { Actor } from '../substrate/actor.ts';
import { findGrantByName, isInForce } from '../substrate/identity/grants.ts';
import { AgentName } from './agent-schema.ts';
import { defineTool } from './define.ts';
import { waitingFor } from './seed-start.ts';

export const agentWaiting = defineTool({
  name: 'agent_waiting',
  title: 'What waits for an agent',
  description: 'Use when a client starts and its agent should be told what waits for it.',
  scope: null,
  surface: 'owner',
  access: 'read',
  input: z.strictObject({ as: AgentName }),
  // Nothing waits for an agent that is not there (yet).
  output: z.object({ name: z.string(), waiting: z.array(z.string()) }),
  handler: async ({ as: name }, { substrate, daemon }) => {
    const grant = await substrate.read((db) => findGrantByName(db, 'agent', name));
    if (grant === null || !isInForce(grant, substrate.sources.now())) return { name, waiting: [] };
    const actor: Actor = { id: grant.name, kind: grant.kind, grant: grant.id, scopes: new Set(grant.scopes) };
    return { name, waiting: await waitingFor(substrate, actor, daemon) };
  },
});
