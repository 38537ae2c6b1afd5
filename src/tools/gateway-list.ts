import * as z from 'zod';
import { listMappings, rolesOnDemand } from '../substrate/gateway-models.ts';
import { readPolicy } from '../substrate/policy/policy.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';

const Mapping = z.object({ model: z.string(), role: z.string(), usable: z.boolean(), mapped: z.string() });

export const gatewayList = defineTool({
  name: 'gateway_list',
  title: 'The models that clients of the gateway may ask for',
  description: 'Use when you want to see which names of models mean which role.',
  scope: 'gateway.map',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({
    /** Roles that may be asked on demand; each is a name by itself. */
    roles: z.array(z.string()),
    mapped: z.array(Mapping),
  }),
  handler: (_input, { substrate }) =>
    substrate.read(async (db) => {
      const roles = rolesOnDemand(await readPolicy(db));
      const mapped = (await listMappings(db)).map(({ pattern, role, mappedAt }) => ({
        model: pattern,
        role,
        usable: roles.includes(role),
        mapped: isoTime(mappedAt),
      }));
      return { roles, mapped };
    }),
});
