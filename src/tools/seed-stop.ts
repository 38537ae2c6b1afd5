import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { defineTool } from './define.ts';

export const seedStop = defineTool({
  name: 'seed_stop',
  title: 'Stop the daemon',
  description: 'Use when the daemon should stop in good order.',
  scope: 'seed.stop',
  surface: 'owner',
  access: 'write',
  input: z.strictObject({}),
  output: z.object({ pid: z.int() }),
  handler: async (_input, { daemon }) => {
    if (daemon.role !== 'daemon')
      throw new SeedError('daemon_absent', 'No daemon serves this home.', { hint: 'There is nothing to stop.' });
    daemon.stop();
    return { pid: daemon.pid };
  },
});
