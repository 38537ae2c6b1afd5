/**
 * The `seed` command. Each verb is a module of its own, loaded when it is used, so that the small
 * ones start fast.
 */
import { Command, CommanderError } from 'commander';
import { readConfig } from '../config.ts';
import { toSeedError } from '../errors.ts';
import { addDown } from './commands/down.ts';
import { addDoctor } from './commands/doctor.ts';
import { addInit } from './commands/init.ts';
import { addReceipts } from './commands/receipts.ts';
import { addStatus } from './commands/status.ts';
import { addUp } from './commands/up.ts';
import { EXIT, EXIT_HELP, printError } from './output.ts';

/** Builds the whole command; the reference is generated from it. */
export function buildProgram(): Command {
  const program = new Command('seed')
    .description('Your agents’ home: memory, messages, policy, keys and receipts on a box that you own.')
    .version(readConfig().version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showHelpAfterError('(add --help for what there is)')
    .addHelpText(
      'after',
      `\nExit codes:\n${EXIT_HELP}\n\nThe home is --home DIR, else SEED_HOME, else the platform’s data folder.`,
    )
    .exitOverride();
  for (const add of [addUp, addDown, addStatus, addInit, addDoctor, addReceipts]) add(program);
  return program;
}

/** Whether the command line asks for JSON, also when it is too wrong to be parsed. */
function wantsJson(argv: readonly string[]): boolean {
  return argv.includes('--json');
}

/** Runs one command line (without node and script); resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  // A reader that has seen enough (`seed receipts list | head`) is not an error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    throw error;
  });
  try {
    await buildProgram().parseAsync([...argv], { from: 'user' });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const error = toSeedError(thrown);
    printError(error, wantsJson(argv));
    return error.code === 'invalid_input' ? EXIT.usage : error.code === 'daemon_absent' ? EXIT.absent : EXIT.failed;
  }
}
