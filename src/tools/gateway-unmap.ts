import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { unmapModel } from '../substrate/gateway-models.ts';
import { defineTool } from './define.ts';
import { ModelPattern } from './gateway-schema.ts';

export const gatewayUnmap = defineTool({
  name: 'gateway_unmap',
  title: 'Let a model’s name mean nothing again',
  description: 'Use when clients of the gateway should no longer get a role by that name.',
  scope: 'gateway.map',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { destructive: true },
  input: z.strictObject({ model: ModelPattern }),
  output: z.object({ model: z.string(), receipt: z.int() }),
  handler: async ({ model }, { actor, substrate }) => {
    const { seq } = await substrate.operate({ action: 'gateway.unmap', actor }, async (op) => {
      op.receipt({ detail: { model } });
      if (await unmapModel(op, model)) return;
      throw new SeedError('not_found', `The name ${model} is not mapped.`, {
        hint: '`seed gateway list` shows what is.',
        data: { argument: 'model' },
      });
    });
    return { model, receipt: seq };
  },
});
