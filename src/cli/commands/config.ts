import type { Command } from 'commander';
import { Argument } from 'commander';
import { ask } from '../ask.ts';
import { printJson, printLine } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

export function addConfig(program: Command): void {
  const config = program.command('config').description('what is turned on or off for the whole seed');
  const set = config
    .command('set')
    .addArgument(new Argument('<name>', 'oauth: serve OAuth discovery documents').choices(['oauth']))
    .addArgument(new Argument('<value>').choices(['on', 'off']))
    .description('turn something on or off (owner act)');
  common(set, { examples: ['seed config set oauth on'] }).action(setSwitch);
}

async function setSwitch(name: string, value: string, options: CommonOptions): Promise<void> {
  const answer = await ask<{ receipt: number }>(configOf(options), {
    tool: 'config_set',
    input: { name, value },
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) printJson({ ...answer, name, value });
  else printLine(`${name} is ${value}. Receipt ${answer.receipt} says so.`);
}
