/**
 * The `seed` command. Each verb is a module of its own, loaded when it is used, so that the small
 * ones start fast.
 */
import { Command, CommanderError } from 'commander';
import { readCommand, readConfig } from '../config.ts';
import { SeedError, toSeedError } from '../errors.ts';
import { isServing } from './serving.ts';
import { EXIT, EXIT_MEANINGS, exitLines, printError, watchOutput } from './output.ts';

/** One file of commands: the verbs that it brings, and how it is loaded. */
interface CommandFile {
  readonly verbs: readonly string[];
  readonly load: () => Promise<(program: Command) => void>;
}

/** Every command, in the order of the help. */
const COMMANDS: readonly CommandFile[] = [
  { verbs: ['up'], load: async () => (await import('./commands/up.ts')).addUp },
  { verbs: ['down'], load: async () => (await import('./commands/down.ts')).addDown },
  { verbs: ['status'], load: async () => (await import('./commands/status.ts')).addStatus },
  { verbs: ['today'], load: async () => (await import('./commands/today.ts')).addToday },
  { verbs: ['todo'], load: async () => (await import('./commands/todo.ts')).addTodo },
  { verbs: ['watch'], load: async () => (await import('./commands/watch.ts')).addWatch },
  { verbs: ['init'], load: async () => (await import('./commands/init.ts')).addInit },
  { verbs: ['demo'], load: async () => (await import('./commands/demo.ts')).addDemo },
  { verbs: ['doctor'], load: async () => (await import('./commands/doctor.ts')).addDoctor },
  { verbs: ['receipts'], load: async () => (await import('./commands/receipts.ts')).addReceipts },
  { verbs: ['key'], load: async () => (await import('./commands/key.ts')).addKey },
  { verbs: ['requests'], load: async () => (await import('./commands/requests.ts')).addRequests },
  { verbs: ['agents'], load: async () => (await import('./commands/agents.ts')).addAgents },
  { verbs: ['bus'], load: async () => (await import('./commands/bus.ts')).addBus },
  { verbs: ['memory'], load: async () => (await import('./commands/memory.ts')).addMemory },
  { verbs: ['task'], load: async () => (await import('./commands/task.ts')).addTask },
  { verbs: ['coherence'], load: async () => (await import('./commands/coherence.ts')).addCoherence },
  { verbs: ['schedule'], load: async () => (await import('./commands/schedule.ts')).addSchedule },
  { verbs: ['probe'], load: async () => (await import('./commands/probe.ts')).addProbe },
  { verbs: ['worker'], load: async () => (await import('./commands/worker.ts')).addWorker },
  { verbs: ['mind'], load: async () => (await import('./commands/mind.ts')).addMind },
  { verbs: ['target'], load: async () => (await import('./commands/target.ts')).addTarget },
  { verbs: ['credential'], load: async () => (await import('./commands/credential.ts')).addCredential },
  { verbs: ['notify'], load: async () => (await import('./commands/notify.ts')).addNotify },
  { verbs: ['halt', 'resume'], load: async () => (await import('./commands/halt.ts')).addHalt },
  { verbs: ['config'], load: async () => (await import('./commands/config.ts')).addConfig },
  { verbs: ['policy'], load: async () => (await import('./commands/policy.ts')).addPolicy },
  { verbs: ['gateway'], load: async () => (await import('./commands/gateway.ts')).addGateway },
  { verbs: ['route', 'trace'], load: async () => (await import('./commands/route.ts')).addRoute },
  { verbs: ['usage'], load: async () => (await import('./commands/usage.ts')).addUsage },
  { verbs: ['session'], load: async () => (await import('./commands/session.ts')).addSession },
  { verbs: ['handoff'], load: async () => (await import('./commands/handoff.ts')).addHandoff },
  { verbs: ['connect'], load: async () => (await import('./commands/connect.ts')).addConnect },
  { verbs: ['disconnect'], load: async () => (await import('./commands/disconnect.ts')).addDisconnect },
  { verbs: ['hook'], load: async () => (await import('./commands/hook.ts')).addHook },
  { verbs: ['mcp'], load: async () => (await import('./commands/mcp.ts')).addMcp },
];

/** The names of all of them. */
export const VERBS: readonly string[] = COMMANDS.flatMap(({ verbs }) => verbs);

/**
 * Builds the command, with these verbs or with all; the reference is generated from it. Whoever asks for one
 * verb does not wait for the others to be loaded, and a daemon does not keep them in memory.
 */
export async function buildProgram(version: string, files: readonly CommandFile[] = COMMANDS): Promise<Command> {
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
  for (const add of await Promise.all(files.map(({ load }) => load()))) add(program);
  return program;
}

/** Whether the command line asks for JSON, also when it is too wrong to be parsed. */
function wantsJson(argv: readonly string[]): boolean {
  return argv.includes('--json');
}

/** What a command line needs: its verb alone, nothing for the version, everything for help and for what is none. */
function filesFor([first = '']: readonly string[]): readonly CommandFile[] {
  if (first === '--version' || first === '-V') return [];
  const asked = COMMANDS.filter(({ verbs }) => verbs.includes(first));
  return asked.length > 0 ? asked : COMMANDS;
}

/** Runs one command line (without node and script); resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  watchOutput({ endWithReader: () => !isServing() });
  let program: Command | null = null;
  try {
    program = await buildProgram(readConfig().version, filesFor(argv));
    try {
      await program.parseAsync([...argv], { from: 'user' });
    } catch (thrown) {
      if (!(thrown instanceof CommanderError)) throw thrown;
      if (thrown.exitCode === 0) return EXIT.ok;
      throw usageError(thrown, program, argv);
    }
    return Number(process.exitCode ?? EXIT.ok);
  } catch (thrown) {
    const error = withHelp(toSeedError(thrown), program, argv);
    printError(error, wantsJson(argv));
    return error.code === 'invalid_input' ? EXIT.usage : error.code === 'daemon_absent' ? EXIT.absent : EXIT.failed;
  }
}

/** What a tool tells the owner who gave it a wrong input; it does not know by which command. */
const SEE_HELP = 'See what the command takes with --help.';

/** The same error, with the help of the very command. */
function withHelp(error: SeedError, program: Command | null, argv: readonly string[]): SeedError {
  if (program === null || error.hint !== SEE_HELP) return error;
  const { code, message, data } = error;
  return new SeedError(code, message, { hint: `See \`${commandPath(program, argv)} --help\`.`, data, cause: error });
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
