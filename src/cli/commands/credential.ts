import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import type { CredentialVariable } from '../../substrate/home/credentials.ts';
import { CREDENTIAL_NAME, CREDENTIAL_NAME_RULE, CREDENTIAL_VARIABLES } from '../../substrate/home/credentials.ts';
import { ask, withSeed } from '../ask.ts';
import { printable, printJson, printLine, spoken, table } from '../output.ts';
import { readSecret } from '../secret.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

export function addCredential(program: Command): void {
  const credential = program
    .command('credential')
    .description('secrets for model providers, each bound to the one origin that it may go to');
  const set = credential
    .command('set')
    .argument('<name>', CREDENTIAL_NAME_RULE, parseCredentialName)
    .requiredOption('--origin <url>', 'where it may go, and nowhere else: https, or http on this machine')
    .addOption(fromEnvOption())
    .description('keep a secret (owner act); read from standard input, or asked for, and never an argument');
  common(set, {
    examples: [
      'seed credential set anthropic --origin https://api.anthropic.com < key.txt',
      'seed credential set gemini --origin https://generativelanguage.googleapis.com --from-env GEMINI_API_KEY',
    ],
  }).action(setCredential);
  common(credential.command('list').description('every credential, without its secret'), {
    examples: ['seed credential list'],
  }).action(listCredentials);
  const remove = credential
    .command('remove')
    .argument('<name>', 'its name', parseCredentialName)
    .description('keep a secret no longer (owner act)');
  common(remove, { examples: ['seed credential remove nvidia'] }).action(removeCredential);
}

/** `--from-env`, for a secret that stays where the seed is started. */
export function fromEnvOption(): Option {
  return new Option(
    '--from-env <variable>',
    'keep no secret, but read this variable of the environment that the seed is started with',
  ).choices(CREDENTIAL_VARIABLES);
}

/** A credential's name on the command line; a path is none. */
export function parseCredentialName(text: string): string {
  if (CREDENTIAL_NAME.test(text)) return text;
  throw new InvalidArgumentError(`A credential is a name, never a path: ${CREDENTIAL_NAME_RULE}.`);
}

interface SetOptions extends CommonOptions {
  readonly origin: string;
  readonly fromEnv?: CredentialVariable;
}

/** What `credential_set` answers with. */
export interface Kept {
  readonly name: string;
  readonly origin: string;
  readonly source: string;
  readonly replaced: boolean;
  readonly receipt: number;
}

async function setCredential(name: string, options: SetOptions): Promise<void> {
  const { origin, fromEnv } = options;
  const source = fromEnv === undefined ? { secret: await readSecret(name) } : { variable: fromEnv };
  const kept = await withSeed(configOf(options), { access: 'write', ownerAct: true }, (question) =>
    question<Kept>({ tool: 'credential_set', input: { name, origin, ...source } }),
  );
  if (options.json === true) printJson(kept);
  else printKept(kept);
}

export function printKept({ name, origin, source, replaced, receipt }: Kept): void {
  const what = source === 'file' ? 'Kept' : `Bound ${source} as`;
  const instead = replaced ? ', in place of the one before' : '';
  printLine(`${what} the credential ${name}, for ${origin} and no other origin${instead}. Receipt ${receipt} says so.`);
}

interface Listed {
  readonly credentials: readonly {
    readonly name: string;
    readonly origin: string | null;
    readonly source: string | null;
    readonly ready: boolean;
    readonly problem: string | null;
    readonly targets: readonly string[];
    readonly last_used: string | null;
  }[];
}

async function listCredentials(options: CommonOptions): Promise<void> {
  const listed = await ask<Listed>(configOf(options), { tool: 'credential_list', access: 'read' });
  if (options.json === true) {
    printJson(listed);
    return;
  }
  if (listed.credentials.length === 0) {
    printLine(spoken('No credential yet. `seed target add` asks for one, or `seed credential set NAME --origin URL`.'));
    return;
  }
  const rows = listed.credentials.map(({ name, origin, source, ready, targets, last_used: used }) => [
    name,
    origin ?? '?',
    `${source === 'file' ? 'the home' : (source ?? '?')}${ready ? '' : ', not usable'}`,
    targets.map(printable).join(', ') || 'no target',
    used ?? 'not since the start',
  ]);
  printLine(table(['NAME', 'GOES TO', 'KEPT IN', 'USED BY', 'LAST USED'], rows));
  for (const { problem } of listed.credentials) if (problem !== null) printLine(printable(problem));
}

async function removeCredential(name: string, options: CommonOptions): Promise<void> {
  const removed = await ask<{ name: string; targets: readonly string[]; receipt: number }>(configOf(options), {
    tool: 'credential_remove',
    input: { name },
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) {
    printJson(removed);
    return;
  }
  printLine(`Removed the credential ${name}. Receipt ${removed.receipt} says so.`);
  const [first] = removed.targets;
  if (first !== undefined) {
    printLine(
      spoken(
        `Without it these cannot be called: ${removed.targets.map(printable).join(', ')}. See \`seed target list\`.`,
      ),
    );
  }
  printLine('The key itself is still good at its provider: revoke it there if it may have been seen.');
}
