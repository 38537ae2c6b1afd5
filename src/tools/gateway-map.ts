import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { listMappings, mapModel, MAPPINGS_MAX } from '../substrate/gateway-models.ts';
import { readPolicy } from '../substrate/policy/policy.ts';
import { defineTool } from './define.ts';
import { ModelPattern } from './gateway-schema.ts';

export const gatewayMap = defineTool({
  name: 'gateway_map',
  title: 'Say which role a model’s name means',
  description: 'Use when a client of the gateway asks for a model by a name of its own, such as claude-*.',
  scope: 'gateway.map',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({ model: ModelPattern, role: z.string().min(1).max(64) }),
  output: z.object({ model: z.string(), role: z.string(), receipt: z.int() }),
  handler: async ({ model, role }, { actor, substrate }) => {
    const { seq } = await substrate.operate({ action: 'gateway.map', actor }, async (op) => {
      op.receipt({ detail: { model, role } });
      const { roles } = await readPolicy(op);
      if (!roles.includes(role)) throw noRole(role, roles);
      if (roles.includes(model)) throw isRole(model);
      const mapped = await listMappings(op);
      if (mapped.length >= MAPPINGS_MAX && !mapped.some(({ pattern }) => pattern === model)) throw full();
      await mapModel(op, { pattern: model, role });
    });
    return { model, role, receipt: seq };
  },
});

function noRole(role: string, roles: readonly string[]): SeedError {
  return new SeedError('not_found', `Policy has no role "${role}".`, {
    hint: roles.length === 0 ? 'Apply a policy first.' : `It has ${roles.slice(0, 10).join(', ')}.`,
    data: { argument: 'role' },
  });
}

function isRole(model: string): SeedError {
  return new SeedError('conflict', `"${model}" is a role of the policy: as a model’s name it means itself.`, {
    hint: 'Map another name, or rename the role in the policy.',
    data: { argument: 'model' },
  });
}

function full(): SeedError {
  return new SeedError('too_many', `${MAPPINGS_MAX} names are mapped already.`, {
    hint: 'Take some away with `seed gateway unmap MODEL`, or map a beginning such as claude-*.',
  });
}
