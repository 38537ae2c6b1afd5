import type { Command } from 'commander';
import { Argument } from 'commander';
import { HOOKS } from '../hook/run.ts';
import { common } from './shared.ts';

/** Described here for the help alone; the launcher starts `hook/main.ts` instead. */
export function addHook(program: Command): void {
  const command = program
    .command('hook')
    .addArgument(new Argument('<hook>', 'which one').choices(HOOKS))
    .description('what a client runs by itself: tell what waits, or take over its transcript')
    .option('--as <name>', 'the agent', 'claude-code');
  common(command, {
    examples: ['seed hook session-start --as claude-code', 'seed hook stop --as claude-code'],
    exits: { ok: 'Always, so that the client is never held up; what went wrong is a line on standard error.' },
  }).action(async (hook: (typeof HOOKS)[number], options: { as: string; home?: string }) => {
    const run = await import('../hook/main.ts');
    await run.hook({ hook, as: options.as, home: options.home });
  });
}
