import type { Command } from 'commander';
import { ask } from '../ask.ts';
import { printJson, printLine, spoken } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

export function addHalt(program: Command): void {
  const halt = program
    .command('halt')
    .description('shut out every agent and helper and stop all spending, now (owner act)');
  common(halt, { examples: ['seed halt'] }).action((options: CommonOptions) => set('seed_halt', options));
  const resume = program.command('resume').description('let agents and helpers in again (owner act)');
  common(resume, { examples: ['seed resume'] }).action((options: CommonOptions) => set('seed_resume', options));
}

async function set(tool: 'seed_halt' | 'seed_resume', options: CommonOptions): Promise<void> {
  const answer = await ask<{ changed: boolean; receipt: number | null; cut: number }>(configOf(options), {
    tool,
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) printJson(answer);
  else if (!answer.changed)
    printLine(`The seed is ${tool === 'seed_halt' ? 'halted already' : 'not halted'}; nothing was changed.`);
  else if (tool === 'seed_resume')
    printLine(`Agents and helpers may come in again. Receipt ${answer.receipt} says so.`);
  else
    printLine(
      spoken(
        `Halted: ${answer.cut} open connection${answer.cut === 1 ? ' was' : 's were'} cut, and nobody comes in until \`seed resume\`. Receipt ${answer.receipt} says so.`,
      ),
    );
}
