import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { settleEarlierBoot } from '../substrate/earlier-boot.ts';
import { defineTool } from './define.ts';

const Run = z.object({
  organ: z.string(),
  because: z.string(),
  done: z.int(),
  says: z.string().nullable(),
  code: z.string().nullable().describe('What went wrong'),
});

export const mindOnce = defineTool({
  name: 'mind_once',
  title: 'Let every organ do what there is, now',
  description: 'Use when the mind should do all that waits and then be still, also while it is paused.',
  scope: 'mind.once',
  surface: 'owner',
  access: 'write',
  input: z.strictObject({}),
  output: z.object({ runs: z.array(Run) }),
  handler: async (_input, { mind, daemon, substrate, signal, progress }) => {
    if (mind.pulse === null) throw nothingTurns();
    const pulse = await mind.pulse.ready();
    // What a daemon does first when it starts: what an earlier process left open is nobody's now.
    if (daemon.role === 'command') await settleEarlierBoot(substrate);
    let done = 0;
    const ends = await pulse.once({
      signal,
      onRun: ({ organ }) => progress({ done: ++done, total: done, what: `runs, the last of ${organ}` }),
    });
    return {
      runs: ends.map(({ error, ...end }) => ({ ...end, code: error?.code ?? null, says: error?.message ?? end.says })),
    };
  },
});

function nothingTurns(): SeedError {
  return new SeedError('home_locked', 'This process may only read the home.', {
    hint: 'Run the command while no other one holds the home.',
  });
}
