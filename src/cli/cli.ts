/**
 * The `seed` command. Each verb is a module of its own, loaded when it is used, so that the small
 * ones start fast.
 */
import { Command, CommanderError } from 'commander';
import { readCommand, readConfig } from '../config.ts';
import { SeedError, toSeedError } from '../errors.ts';
import { addAgents } from './commands/agents.ts';
import { addBus } from './commands/bus.ts';
import { addConfig } from './commands/config.ts';
import { addConnect } from './commands/connect.ts';
import { addCredential } from './commands/credential.ts';
import { addDemo } from './commands/demo.ts';
import { addDisconnect } from './commands/disconnect.ts';
import { addDown } from './commands/down.ts';
import { addDoctor } from './commands/doctor.ts';
import { addHandoff } from './commands/handoff.ts';
import { addHalt } from './commands/halt.ts';
import { addHook } from './commands/hook.ts';
import { addInit } from './commands/init.ts';
import { addKey } from './commands/key.ts';
import { addMcp } from './commands/mcp.ts';
import { addMemory } from './commands/memory.ts';
import { addPolicy } from './commands/policy.ts';
import { addReceipts } from './commands/receipts.ts';
import { addRequests } from './commands/requests.ts';
import { addRoute } from './commands/route.ts';
import { addSession } from './commands/session.ts';
import { addStatus } from './commands/status.ts';
import { addTarget } from './commands/target.ts';
import { addTask } from './commands/task.ts';
import { addToday } from './commands/today.ts';
import { addTodo } from './commands/todo.ts';
import { addUp, isServing } from './commands/up.ts';
import { addUsage } from './commands/usage.ts';
import { addWatch } from './commands/watch.ts';
import { EXIT, EXIT_MEANINGS, exitLines, printError, watchOutput } from './output.ts';

/** Builds the whole command; the reference is generated from it. */
export function buildProgram(version: string): Command {
  const program = new Command(readCommand())
    .description('Your agents’ home: memory, messages, policy, keys and receipts on a box that you own.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .addHelpText(
      'after',
      `\nExit codes:\n${exitLines(EXIT_MEANINGS)}\n\nThe home is --home DIR, else SEED_HOME, else the platform’s data folder.`,
    )
    // Errors are printed by `main`, in the form of all others.
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  const commands = [
    addUp,
    addDown,
    addStatus,
    addToday,
    addTodo,
    addWatch,
    addInit,
    addDemo,
    addDoctor,
    addReceipts,
    addKey,
    addRequests,
    addAgents,
    addBus,
    addMemory,
    addTask,
    addTarget,
    addCredential,
    addHalt,
    addConfig,
    addPolicy,
    addRoute,
    addUsage,
    addSession,
    addHandoff,
    addConnect,
    addDisconnect,
    addHook,
    addMcp,
  ];
  for (const add of commands) add(program);
  return program;
}

/** Whether the command line asks for JSON, also when it is too wrong to be parsed. */
function wantsJson(argv: readonly string[]): boolean {
  return argv.includes('--json');
}

/** Runs one command line (without node and script); resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  watchOutput({ endWithReader: () => !isServing() });
  try {
    const program = buildProgram(readConfig().version);
    try {
      await program.parseAsync([...argv], { from: 'user' });
    } catch (thrown) {
      if (!(thrown instanceof CommanderError)) throw thrown;
      if (thrown.exitCode === 0) return EXIT.ok;
      throw usageError(thrown, program, argv);
    }
    return Number(process.exitCode ?? EXIT.ok);
  } catch (thrown) {
    const error = toSeedError(thrown);
    printError(error, wantsJson(argv));
    return error.code === 'invalid_input' ? EXIT.usage : error.code === 'daemon_absent' ? EXIT.absent : EXIT.failed;
  }
}

/** The parser's complaint in the form of every other error. */
function usageError({ code, message }: CommanderError, program: Command, argv: readonly string[]): SeedError {
  const path = commandPath(program, argv);
  const hint = `See \`${path} --help\`.`;
  // The help itself has been printed; what is missing is which of the commands.
  if (code === 'commander.help') return new SeedError('invalid_input', 'Name a command.', { hint });
  const [first = '', ...more] = message.replace(/^error: /, '').split('\n');
  const sentence = `${first.charAt(0).toUpperCase()}${first.slice(1)}`;
  return new SeedError('invalid_input', sentence.endsWith('.') ? sentence : `${sentence}.`, {
    hint: [...more.map((line) => line.replace(/^\((.*)\)$/, '$1')), hint].join(' '),
  });
}

/** The command that was meant, as far as it can be told: `seed receipts list`. */
function commandPath(program: Command, argv: readonly string[]): string {
  let found = program;
  const names = ['seed'];
  for (const word of argv.filter((each) => !each.startsWith('-'))) {
    const next = found.commands.find((command) => command.name() === word);
    if (next === undefined) break;
    found = next;
    names.push(word);
  }
  return names.join(' ');
}
