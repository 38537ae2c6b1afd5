/** What every command takes. */
import type { Command } from 'commander';
import type { Config } from '../../config.ts';
import { readConfig } from '../../config.ts';

export interface CommonOptions {
  readonly home?: string;
  readonly json?: boolean;
}

/** Adds `--home` and `--json`, and the examples under the help. */
export function common(command: Command, examples: readonly string[]): Command {
  return command
    .option('--home DIR', 'the home’s folder')
    .option('--json', 'print JSON')
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`);
}

export function configOf({ home }: CommonOptions): Config {
  return readConfig({ home });
}
