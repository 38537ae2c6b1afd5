/** What every command takes, and what its help says. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { Config } from '../../config.ts';
import { readConfig } from '../../config.ts';
import type { ExitName } from '../output.ts';
import { EXIT, EXIT_MEANINGS, exitLines, spokenExample } from '../output.ts';

export interface CommonOptions {
  readonly home?: string;
  readonly json?: boolean;
}

export interface CommandHelp {
  readonly examples: readonly string[];
  /** What an exit code means for this command, where that can be said more exactly than in general. */
  readonly exits?: Readonly<Partial<Record<ExitName, string>>>;
}

/** Adds `--home` and `--json`, and under the help the examples and exit codes. */
export function common(command: Command, { examples, exits = {} }: CommandHelp): Command {
  const { ok, failed, usage } = EXIT_MEANINGS;
  return command
    .option('--home <dir>', 'the home’s folder', parsePath)
    .option('--json', 'print JSON')
    .addHelpText('after', () => {
      const lines = examples.map((example) => `  $ ${spokenExample(example)}`);
      return `\nExamples:\n${lines.join('\n')}\n\nExit codes:\n${exitLines({ ok, failed, usage, ...exits })}`;
    });
}

/** A path on the command line; `--home --json` is a forgotten folder, not one called --json. */
export function parsePath(text: string): string {
  if (text !== '' && !text.startsWith('-')) return text;
  throw new InvalidArgumentError('Name a path; ./ in front of one that begins with a dash.');
}

/** What goes on until somebody stops it ends well when they do. */
export function endWithSignal(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(EXIT.ok));
}

export function configOf({ home }: CommonOptions): Config {
  return readConfig({ home });
}
