import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { defineTool } from './define.ts';

export const logAccept = defineTool({
  name: 'log_accept',
  title: 'Accept the log as it is',
  description:
    'Use when the log is older than a checkpoint kept outside it and what is missing cannot be brought back.',
  scope: 'log.accept',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  input: z.strictObject({}),
  output: z.object({ receipt: z.int(), accepted: z.string() }),
  handler: async (_input, { substrate }) => {
    const { distrust } = substrate;
    if (distrust === null) {
      throw new SeedError('conflict', 'The log continues the checkpoint kept outside it.', {
        hint: 'There is nothing to accept.',
      });
    }
    const { seq } = await substrate.acceptLog();
    return { receipt: seq, accepted: distrust.code };
  },
});
