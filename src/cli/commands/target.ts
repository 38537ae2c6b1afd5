import type { Command } from 'commander';
import { Option } from 'commander';
import { SeedError } from '../../errors.ts';
import type { CredentialVariable } from '../../substrate/home/credentials.ts';
import { CREDENTIAL_NAME } from '../../substrate/home/credentials.ts';
import { dollars } from '../../substrate/ledger/money.ts';
import { isLoopbackUrl } from '../../substrate/origins.ts';
import type { ProviderName } from '../../substrate/policy/model.ts';
import { PROVIDERS } from '../../substrate/policy/model.ts';
import type { Ask } from '../ask.ts';
import { ask, withSeed } from '../ask.ts';
import { EXIT, printable, printJson, printLine, spoken, table } from '../output.ts';
import type { FirstRun } from '../first-run.ts';
import { isSecretRedirected, readSecret } from '../secret.ts';
import { askLine, hasTerminal } from '../terminal.ts';
import type { Kept } from './credential.ts';
import { fromEnvOption, parseCredentialName, printKept } from './credential.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

export function addTarget(program: Command): void {
  const target = program.command('target').description('where models answer: add, list, test');
  const add = target
    .command('add')
    .argument('[name]', 'anthropic, gemini, nvidia, local-ollama, or a name of your own')
    .addOption(new Option('--provider <provider>', 'whose language it speaks').choices(PROVIDERS))
    .option('--base-url <url>', 'where it answers, if not where the provider does')
    .option('--credential <name>', 'the credential it is called with', parseCredentialName)
    .option('--no-credential', 'call it without one')
    .addOption(fromEnvOption())
    .option('--no-test', 'do not try it')
    .description('add a target (owner act): keeps its key, puts it into the policy, and tries it');
  common(add, {
    examples: [
      'seed target add',
      'seed target add anthropic < key.txt',
      'seed target add local-ollama',
      'seed target add work --provider nvidia --base-url https://models.example.com/v1 --credential work < key.txt',
    ],
  }).action(addOne);
  common(target.command('list').description('the targets of the policy, and what keeps one from being called'), {
    examples: ['seed target list'],
  }).action(listTargets);
  common(
    target
      .command('detect')
      .description('look for keys in the environment and an Ollama on this machine, for a policy to begin with'),
    { examples: ['seed target detect'] },
  ).action(detect);
  const test = target
    .command('test')
    .argument('<name>', 'its name')
    .option('--model <model>', 'a model of it (default: the cheapest that the policy names; never tier 1)')
    .description('make one tiny call, within the ceilings and on record, and say what is wrong');
  common(test, {
    examples: ['seed target test anthropic', 'seed target test local-ollama --model llama3.1:8b'],
    exits: { ok: 'it answers', failed: 'it does not; what is wrong and how to mend it is said' },
  }).action(testTarget);
}

/** What a new home does once; a policy that is there already is left as it is. */
async function detect(options: CommonOptions): Promise<void> {
  const config = configOf(options);
  const input = config.ollama === null ? {} : { ollama: config.ollama };
  const call = { tool: 'target_detect', input, access: 'write', ownerAct: true } as const;
  const found = { ...(await ask<Omit<FirstRun, 'problem'>>(config, call)), problem: null };
  if (options.json === true) {
    printJson(found);
    return;
  }
  const { targets } = await ask<Listed>(config, { tool: 'target_list', access: 'read' });
  if (found.version === null && targets.length > 0) {
    printLine(spoken('There is a policy already, and it is left as it is. To add to it: `seed target add`'));
    return;
  }
  const { firstRunLines } = await import('../first-run.ts');
  for (const line of firstRunLines(found)) printLine(line);
}

// ---------------------------------------------------------------------------------------------
// Add

interface AddOptions extends CommonOptions {
  readonly provider?: ProviderName;
  readonly baseUrl?: string;
  /** False where it is called without one. */
  readonly credential?: string | false;
  readonly fromEnv?: CredentialVariable;
  readonly test: boolean;
}

/** A target as it is to be. */
interface Plan {
  readonly name: string;
  readonly provider: ProviderName;
  readonly baseUrl: string;
  readonly credential: string | null;
  /** Its provider uses keys, none was given, and nobody said that it takes none. */
  readonly isUntold: boolean;
}

interface Added {
  readonly version: number;
  readonly roles: readonly string[];
  readonly changes: readonly { kind: string; what: string; before: string | null; after: string | null }[];
  readonly warnings: readonly { message: string }[];
  readonly receipt: number;
}

async function addOne(given: string | undefined, options: AddOptions): Promise<void> {
  let plan = await planTarget(given ?? (await askWhich()), options);
  await withSeed(configOf(options), { access: 'write', ownerAct: true }, async (question) => {
    const before = plan.isUntold ? await credentialBefore(question, plan) : null;
    if (before !== null) plan = { ...plan, credential: before, isUntold: false };
    const kept =
      plan.credential === null || before !== null
        ? null
        : await ensureCredential(question, plan.credential, plan, options);
    if (options.json !== true) printKey(plan, kept);
    const { name, provider, baseUrl: base_url, credential } = plan;
    const added = await question<Added>({ tool: 'target_add', input: { name, provider, base_url, credential } });
    if (options.json !== true) printAdded(plan, added);
    // A target that no role asks has no model yet that could be tried.
    const tested =
      options.test && added.roles.length > 0 ? await question<Tested>({ tool: 'target_test', input: { name } }) : null;
    if (options.json === true) printJson({ ...added, credential: kept, tested });
    else if (tested !== null) printTested(tested);
  });
}

/** The credential that a target at that address has already: adding it once more takes nothing away. */
async function credentialBefore(question: Ask, { name, baseUrl }: Plan): Promise<string | null> {
  const { targets } = await question<Listed>({ tool: 'target_list' });
  const same = targets.find((target) => target.name === name);
  return same === undefined || URL.parse(same.base_url)?.origin !== URL.parse(baseUrl)?.origin ? null : same.credential;
}

async function askWhich(): Promise<string> {
  if (process.stdin.isTTY && process.stdout.isTTY && hasTerminal()) {
    const answer = await askLine(`Which one: ${PROVIDERS.join(', ')}? `);
    if (PROVIDERS.some((name) => name === answer)) return answer;
    throw new SeedError('invalid_input', `There is no ${printable(answer) || 'such provider'} to choose.`, {
      hint: `Run it again and type one of ${PROVIDERS.join(', ')}; under a name of your own: \`seed target add NAME --provider PROVIDER\`.`,
      data: { argument: 'name' },
    });
  }
  throw new SeedError('invalid_input', 'Name the target.', {
    hint: `Such as \`seed target add anthropic\`, with its key on standard input. There are ${PROVIDERS.join(', ')}.`,
    data: { argument: 'name' },
  });
}

/** What was asked for, with what the starter file knows of it where nothing was said. */
async function planTarget(name: string, { provider, baseUrl, credential, fromEnv }: AddOptions): Promise<Plan> {
  const { starterTargets } = await import('../../substrate/policy/starter.ts');
  const wanted = provider ?? PROVIDERS.find((each) => each === name);
  if (wanted === undefined) {
    throw new SeedError('invalid_input', `Whose language does ${printable(name)} speak?`, {
      hint: `Say it with --provider: ${PROVIDERS.join(', ')}.`,
      data: { argument: 'provider' },
    });
  }
  const known = starterTargets().find((target) => target.provider === wanted);
  const url = baseUrl ?? known?.baseUrl ?? '';
  const isOwnAddress = baseUrl !== undefined && isHere(baseUrl);
  // What answers on this machine is called without a key, unless one is given.
  const usesKeys = typeof known?.credential === 'string';
  const needsKey = (usesKeys && (!isOwnAddress || isSecretRedirected())) || fromEnv !== undefined;
  const usual = name === known?.name ? (known.credential ?? name) : name.toLowerCase();
  const named = credential ?? (needsKey ? toCredentialName(usual) : false);
  const isUntold = usesKeys && !needsKey && credential === undefined;
  return { name, provider: wanted, baseUrl: url, credential: named === false ? null : named, isUntold };
}

function isHere(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && isLoopbackUrl(url);
}

function toCredentialName(text: string): string {
  if (CREDENTIAL_NAME.test(text)) return text;
  throw new SeedError('invalid_input', `The key of ${printable(text)} needs a name.`, {
    hint: 'Give one with --credential.',
    data: { argument: 'credential' },
  });
}

/** Keeps the key that is given; else asks for one, unless there is one by that name already. Resolves to what was kept. */
async function ensureCredential(
  question: Ask,
  name: string,
  { baseUrl }: Plan,
  { fromEnv }: AddOptions,
): Promise<Kept | null> {
  const { credentials } = await question<{ credentials: readonly { name: string }[] }>({ tool: 'credential_list' });
  if (credentials.some((each) => each.name === name) && fromEnv === undefined && !isSecretRedirected()) {
    return null;
  }
  const { parseBaseUrl } = await import('../../substrate/origins.ts');
  // Before a key is asked for: one that could go nowhere need not be typed.
  const { origin } = parseBaseUrl(baseUrl, 'base-url');
  const source = fromEnv === undefined ? { secret: await readSecret(name) } : { variable: fromEnv };
  return question<Kept>({ tool: 'credential_set', input: { name, origin, ...source } });
}

/** Which key it is called with: one that came through a pipe and was not read must not be taken for kept. */
function printKey({ name, credential, baseUrl, isUntold }: Plan, kept: Kept | null): void {
  if (kept !== null) {
    printKept(kept);
    return;
  }
  const { origin } = new URL(baseUrl);
  if (credential !== null) {
    const set = `\`seed credential set ${credential} --origin ${origin} < FILE\``;
    printLine(spoken(`It is called with the credential ${credential} as it was before. Another key: ${set}.`));
  } else if (isUntold) {
    printLine(
      spoken(
        `No key is kept for it, since it is on this machine. With one: \`seed target add ${printable(name)} … < FILE\`, or \`… | seed target add ${printable(name)} … --credential NAME\`.`,
      ),
    );
  }
}

function printAdded({ name }: Plan, { version, roles, changes, warnings, receipt }: Added): void {
  for (const { kind, what, before, after } of changes) {
    printLine(`  ${kind} ${printable(what)}: ${printable(after ?? before ?? '')}`);
  }
  const doubled = changes.length === 0 ? 'is as it was in the policy' : 'is in the policy';
  printLine(`${printable(name)} ${doubled}, now version ${version}. Receipt ${receipt} says so.`);
  for (const { message } of warnings) printLine(`  ${printable(message)}`);
  if (roles.length > 0) printLine(`Roles that ask it: ${roles.map(printable).join(', ')}.`);
  else {
    printLine('No role asks it yet. Write its models, and their prices where nobody knows them, into the policy:');
    printLine(spoken('  `seed policy show` > policy.yaml, change it, `seed policy apply policy.yaml`.'));
  }
}

// ---------------------------------------------------------------------------------------------
// Test, list

interface Tested {
  readonly ok: boolean;
  readonly target: string;
  readonly model: string | null;
  readonly role: string | null;
  readonly code: string;
  readonly what: string;
  readonly hint: string;
  readonly cost_micro_usd: number;
  readonly receipt: number | null;
}

async function testTarget(name: string, options: CommonOptions & { model?: string }): Promise<void> {
  const { model } = options;
  const input = { name, ...(model === undefined ? {} : { model }) };
  const tested = await ask<Tested>(configOf(options), { tool: 'target_test', input, access: 'write' });
  process.exitCode = tested.ok ? EXIT.ok : EXIT.failed;
  if (options.json === true) printJson(tested);
  else printTested(tested);
}

function printTested({ what, hint, receipt, cost_micro_usd: cost }: Tested): void {
  const paid = cost === 0 ? '' : ` It cost ${dollars(cost)}.`;
  const said = receipt === null ? '' : ` Receipt ${receipt} says so.`;
  printLine(`${printable(what)}${paid}${said}`);
  if (hint !== '') printLine(spoken(printable(hint)));
}

interface Listed {
  readonly targets: readonly {
    readonly name: string;
    readonly provider: string;
    readonly base_url: string;
    readonly credential: string | null;
    readonly models: readonly { role: string; model: string; tier: number }[];
    readonly problem: string | null;
    readonly sits_out: readonly { model: string; why: string }[];
  }[];
}

async function listTargets(options: CommonOptions): Promise<void> {
  const listed = await ask<Listed>(configOf(options), { tool: 'target_list', access: 'read' });
  if (options.json === true) {
    printJson(listed);
    return;
  }
  if (listed.targets.length === 0) {
    printLine(spoken(NO_MODEL));
    return;
  }
  const rows = listed.targets.map(({ name, provider, base_url: url, credential, models }) =>
    [
      name,
      provider,
      url,
      credential ?? 'none',
      [...new Set(models.map(({ model }) => model))].join(', ') || 'none',
    ].map(printable),
  );
  printLine(table(['NAME', 'PROVIDER', 'ADDRESS', 'CREDENTIAL', 'MODELS'], rows));
  for (const { name, problem, sits_out: sitsOut } of listed.targets) {
    if (problem !== null) printLine(`${printable(name)}: ${spoken(printable(problem))}`);
    for (const { model, why } of sitsOut) {
      printLine(`${printable(name)}${model === '*' ? '' : `/${printable(model)}`} sits out: ${printable(why)}`);
    }
  }
}

/** What a seed without a model is told. */
export const NO_MODEL =
  'No model yet: memory, messages, tasks, handoff and receipts work. To add one: `seed target add`';
