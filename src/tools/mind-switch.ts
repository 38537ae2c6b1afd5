import * as z from 'zod';
import { switchOrgan } from '../mind/loop/seat.ts';
import { ORGANS } from '../mind/organs/traits.ts';
import { defineTool } from './define.ts';
import { noSuchOrgan } from './mind-view.ts';

export const mindSwitch = defineTool({
  name: 'mind_switch',
  title: 'Switch an organ on or off',
  description: 'Use when one of the seed’s organs should work by itself, or no longer; on gives it a grant.',
  scope: 'mind.switch',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({ organ: z.string().max(64), on: z.boolean() }),
  output: z.object({ organ: z.string(), on: z.boolean(), scopes: z.array(z.string()), receipt: z.int() }),
  handler: async ({ organ, on }, { actor, substrate }) => {
    const named = ORGANS.find(({ name }) => name === organ);
    if (named === undefined) throw noSuchOrgan(organ);
    const receipt = await switchOrgan(substrate, actor, { named, isOn: on });
    return { organ, on, scopes: on ? [...named.scopes] : [], receipt };
  },
});
