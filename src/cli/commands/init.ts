import { join } from 'node:path';
import type { Command } from 'commander';
import { SeedError } from '../../errors.ts';
import type { FirstRun } from '../first-run.ts';
import { firstRunLines, lookForModels } from '../first-run.ts';
import { EXIT, printJson, printLine, spoken } from '../output.ts';
import { askNewPassphrase, hasTerminal } from '../terminal.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface InitOptions extends CommonOptions {
  readonly passphrase?: boolean;
  readonly detect: boolean;
}

interface Made {
  readonly home: string;
  readonly created: boolean;
  readonly passphrase: string | null;
  /** What there is to call a model with; only where the home was made just now, and it was looked for. */
  readonly models?: FirstRun;
}

export function addInit(program: Command): void {
  const command = program
    .command('init')
    .description('make a home: keys, root of trust, database')
    .option('--passphrase', 'set an owner passphrase (asked for on the terminal)')
    .option('--no-passphrase', 'set none, and do not ask')
    .option('--no-detect', 'do not look for keys in the environment and an Ollama on this machine');
  common(command, {
    examples: ['seed init', 'seed init --home /srv/seed --passphrase', 'SEED_PORT=0 seed init --json'],
    exits: { ok: 'made, or there already', failed: 'not made; nothing is left behind' },
  }).action(init);
}

async function init(options: InitOptions): Promise<void> {
  const config = configOf(options);
  const { initHome } = await import('../../main.ts');
  const { homeState } = await import('../../substrate/home/create.ts');
  if (homeState(config.home) === 'finished') {
    if (options.passphrase === true) throw tooLateForPassphrase(config.home);
    report({ home: config.home, created: false, passphrase: null }, options);
    return;
  }
  const passphrase = await choosePassphrase(options);
  const created = await initHome(config, passphrase);
  const models = created && options.detect ? { models: await lookForModels(config, passphrase) } : {};
  report({ home: config.home, created, passphrase: passphrase === null ? 'none' : 'set', ...models }, options);
}

/** Whoever asks for a passphrase must not go away believing that there is one. */
function tooLateForPassphrase(home: string): SeedError {
  return new SeedError('conflict', `There is a seed in ${home} already; its passphrase stays as it is.`, {
    hint: 'A passphrase is chosen when a home is made. `seed doctor` says whether this one has one.',
  });
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
  const { assertPassphrase } = await import('../../substrate/identity/passphrase.ts');
  const chosen = await askNewPassphrase(`Owner passphrase${skip}: `, assertPassphrase);
  if (chosen === null && passphrase === true) {
    throw new SeedError('invalid_input', 'The passphrase is empty.', { hint: 'Run the command again.' });
  }
  return chosen;
}

function report(result: Made, { json }: CommonOptions): void {
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
  if (result.passphrase === 'set')
    printLine('Owner acts ask for the passphrase. It is stored nowhere: nobody can bring it back for you.');
  printLine(`Keep a copy of ${join(result.home, 'root', '1.json')} elsewhere: it proves where receipts come from.`);
  if (result.models !== undefined) for (const line of firstRunLines(result.models)) printLine(line);
  printLine(spoken('Start it with `seed up`.'));
}
