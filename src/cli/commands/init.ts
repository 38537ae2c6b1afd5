import type { Command } from 'commander';
import { SeedError } from '../../errors.ts';
import { EXIT, printJson, printLine } from '../output.ts';
import { askNewPassphrase, hasTerminal } from '../terminal.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface InitOptions extends CommonOptions {
  readonly passphrase?: boolean;
}

export function addInit(program: Command): void {
  const command = program
    .command('init')
    .description('make a home: keys, root of trust, database')
    .option('--passphrase', 'set an owner passphrase (asked for on the terminal)')
    .option('--no-passphrase', 'set none, and do not ask');
  common(command, ['seed init', 'seed init --home /srv/seed --passphrase', 'SEED_PORT=0 seed init --json']).action(
    init,
  );
}

async function init(options: InitOptions): Promise<void> {
  const config = configOf(options);
  const { initHome } = await import('../../main.ts');
  const { homeState } = await import('../../substrate/home/create.ts');
  if (homeState(config.home) === 'finished') {
    report({ home: config.home, created: false, passphrase: null }, options);
    return;
  }
  const passphrase = await choosePassphrase(options);
  const created = await initHome(config, passphrase);
  report({ home: config.home, created, passphrase: passphrase === null ? 'none' : 'set' }, options);
}

async function choosePassphrase({ passphrase, json }: InitOptions): Promise<string | null> {
  if (passphrase === true && !hasTerminal()) {
    throw new SeedError('passphrase_required', 'A passphrase is typed on a terminal, and there is none here.', {
      hint: 'Run `seed init --passphrase` in a terminal, or leave it out.',
    });
  }
  const interactive = process.stdin.isTTY && process.stdout.isTTY && json !== true;
  if (passphrase === false || (passphrase === undefined && !interactive)) return null;
  const skip = passphrase === true ? '' : ' (Enter for none)';
  const chosen = await askNewPassphrase(`Owner passphrase${skip}: `);
  if (chosen === null && passphrase === true) {
    throw new SeedError('invalid_input', 'The passphrase is empty.', { hint: 'Run the command again.' });
  }
  return chosen;
}

function report(result: { home: string; created: boolean; passphrase: string | null }, { json }: CommonOptions): void {
  process.exitCode = EXIT.ok;
  if (json === true) {
    printJson(result);
    return;
  }
  if (!result.created) {
    printLine(`There is a seed in ${result.home} already; nothing was changed.`);
    return;
  }
  printLine(`Made a seed in ${result.home}.`);
  if (result.passphrase === 'none')
    printLine('No owner passphrase: every program that runs as you can act as its owner.');
  printLine(
    'Start it with `seed up`. Keep a copy of root/1.json elsewhere: with it, receipts prove where they come from.',
  );
}
