import type { Command } from 'commander';
import { Argument } from 'commander';
import { ask } from '../ask.ts';
import { printJson, printLine } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

export function addConfig(program: Command): void {
  const config = program.command('config').description('what is set for the whole seed');
  const set = config
    .command('set')
    .addArgument(
      new Argument('<name>', 'oauth: serve OAuth discovery; public-url: the https address behind a proxy').choices([
        'oauth',
        'public-url',
      ]),
    )
    .argument('<value>', 'on or off; for public-url an https address, or off')
    .description('set something for the whole seed (owner act)');
  common(set, { examples: ['seed config set oauth on', 'seed config set public-url https://seed.example.org'] }).action(
    setSwitch,
  );
}

async function setSwitch(name: string, value: string, options: CommonOptions): Promise<void> {
  const answer = await ask<{ receipt: number }>(configOf(options), {
    tool: 'config_set',
    input: { name, value },
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) printJson({ ...answer, name, value });
  else {
    const from = name === 'public-url' ? ' from the next start on' : '';
    printLine(`${name} is ${value}${from}. Receipt ${answer.receipt} says so.`);
  }
}
