import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { SeedError } from '../../errors.ts';
import type { Ask } from '../ask.ts';
import { ask, withSeed } from '../ask.ts';
import { counted, EXIT, printable, printJson, printLine, spoken, table } from '../output.ts';
import { askYesNo, hasTerminal } from '../terminal.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

/** Far above what the seed takes; it refuses what is over its own limit in its own words. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

interface Remark {
  readonly line: number | null;
  readonly message: string;
}

interface Change {
  readonly kind: 'added' | 'removed' | 'changed';
  readonly what: string;
  readonly before: string | null;
  readonly after: string | null;
}

interface Problem {
  readonly row: string;
  readonly problem: string;
  readonly todo: string;
}

interface Edit {
  readonly change: number;
  readonly at: string;
  readonly table: string;
  readonly before: string | null;
  readonly after: string | null;
  readonly receipt: number | null;
  readonly acknowledged: string | null;
}

export function addPolicy(program: Command): void {
  const policy = program
    .command('policy')
    .description('which models may be asked, in which order, for how much: show, check, apply, explain, history');
  common(policy.command('show').description('the policy in force, as a file'), {
    examples: ['seed policy show', 'seed policy show > policy.yaml'],
  }).action(showPolicy);
  const check = policy
    .command('check')
    .argument('<file>', 'a policy file, YAML or JSON; - for standard input')
    .description('all that is wrong with a file, by line, and what it would change');
  common(check, {
    examples: ['seed policy check policy.yaml'],
    exits: { ok: 'it can be applied', failed: 'it has problems' },
  }).action(checkPolicy);
  const apply = policy
    .command('apply')
    .argument('<file>', 'a policy file, YAML or JSON; - for standard input')
    .description('put a file in force, after showing the difference (owner act); what was spent stays spent')
    .option('--yes', 'do not ask');
  common(apply, { examples: ['seed policy apply policy.yaml', 'seed policy apply policy.yaml --yes --json'] }).action(
    applyPolicy,
  );
  const explain = policy
    .command('explain')
    .argument('<role>')
    .description('which models a role would ask, or why none')
    .addOption(new Option('--dispatch <dispatch>', 'as whom').choices(['any', 'cron']).default('any'));
  common(explain, {
    examples: ['seed policy explain worker', 'seed policy explain synthesizer --dispatch cron'],
    exits: { ok: 'there is somebody to ask', failed: 'it resolves to nothing, or nobody knows a price' },
  }).action(explainRole);
  addPast(policy);
}

/** What was, and what somebody else did. */
function addPast(policy: Command): void {
  const history = policy
    .command('history')
    .description('the versions of the policy and the edits from outside, newest first')
    .option('--limit <n>', 'how many', parseCount, 50);
  common(history, { examples: ['seed policy history'] }).action(showHistory);
  const rollback = policy
    .command('rollback')
    .argument('<version>', 'its number in the history', parseCount)
    .description('bring an earlier version back, as a new one (owner act)');
  common(rollback, { examples: ['seed policy rollback 3'] }).action(rollbackPolicy);
  const ack = policy
    .command('ack')
    .description('acknowledge edits from outside, which do not count before where a passphrase is set (owner act)')
    .option('--up-to <change>', 'the newest change that you looked at; refused if there is a newer one', parseCount);
  common(ack, { examples: ['seed policy ack', 'seed policy ack --up-to 12'] }).action(acknowledge);
}

function parseCount(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count > 0) return count;
  throw new InvalidArgumentError('Name a whole number from 1.');
}

function readPolicyFile(path: string): string {
  try {
    const bytes = readFileSync(path === '-' ? 0 : path);
    if (bytes.length > FILE_BYTES_MAX) throw new Error('It is too large.');
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    const isThere = path === '-' || existsSync(path);
    throw new SeedError(
      'not_found',
      isThere ? `The file ${path} cannot be read as text.` : `There is no file ${path}.`,
      {
        hint: 'Name a policy file; `seed policy show` prints one to start from.',
        cause,
      },
    );
  }
}

// ---------------------------------------------------------------------------------------------

interface Shown {
  readonly policy: string;
  readonly document: string;
  readonly problems: readonly Problem[];
  readonly edits: readonly Edit[];
  readonly needs_ack: boolean;
}

/** The file goes to standard output as it is; what is to be said about it are comments in it. */
async function showPolicy(options: CommonOptions): Promise<void> {
  const shown = await ask<Shown>(configOf(options), { tool: 'policy_show', access: 'read' });
  if (options.json === true) {
    printJson(shown);
    return;
  }
  printLine(`# Policy ${shown.policy}`);
  for (const edit of shown.edits) printLine(`# Edited outside: ${editLine(edit)}`);
  if (shown.needs_ack) printLine(spoken('# These edits do not count until you say `seed policy ack`.'));
  for (const { row, problem } of shown.problems) printLine(`# Problem in ${printable(row)}: ${printable(problem)}`);
  printLine(shown.document.trimEnd());
}

interface Checked {
  readonly ok: boolean;
  readonly problems: readonly Remark[];
  readonly warnings: readonly Remark[];
  readonly changes: readonly Change[];
  readonly against: string;
}

async function checkPolicy(file: string, options: CommonOptions): Promise<void> {
  const document = readPolicyFile(file);
  const checked = await ask<Checked>(configOf(options), { tool: 'policy_check', input: { document }, access: 'read' });
  process.exitCode = checked.ok ? EXIT.ok : EXIT.failed;
  if (options.json === true) {
    printJson(checked);
    return;
  }
  printRemarks(file, checked);
  if (!checked.ok) return;
  printChanges(checked);
  printLine('It can be applied.');
}

interface Applied {
  readonly version: number;
  readonly hash: string;
  readonly changes: readonly Change[];
  readonly warnings: readonly Remark[];
  readonly receipt: number;
}

interface ApplyOptions extends CommonOptions {
  readonly yes?: boolean;
}

async function applyPolicy(file: string, options: ApplyOptions): Promise<void> {
  const document = readPolicyFile(file);
  const config = configOf(options);
  await withSeed(config, { access: 'write', ownerAct: true }, async (question) => {
    const checked = await question<Checked>({ tool: 'policy_check', input: { document } });
    if (options.json !== true) {
      printRemarks(file, checked);
      if (checked.ok) printChanges(checked);
    }
    if (checked.ok && asks(options) && !(await askYesNo('Put this in force?'))) {
      throw new SeedError('interrupted', 'Nothing was changed.', { hint: 'Apply it when it is as you want it.' });
    }
    await putInForce(question, { document, against: checked.against }, options);
  });
}

/** Whether there is a person to ask: not with `--yes`, not for a program, not without a terminal. */
function asks({ yes, json }: ApplyOptions): boolean {
  return yes !== true && json !== true && process.stdin.isTTY && process.stdout.isTTY && hasTerminal();
}

/** A file with problems is sent too: the refusal is on record, and comes back as any other error. */
async function putInForce(question: Ask, input: object, { json }: CommonOptions): Promise<void> {
  const applied = await question<Applied>({ tool: 'policy_apply', input });
  if (json === true) {
    printJson(applied);
    return;
  }
  const same = applied.changes.length === 0 ? ', and says what the one before said' : '';
  printLine(`Policy ${applied.version} is in force${same}. Receipt ${applied.receipt} says so.`);
}

interface Explained {
  readonly role: string;
  readonly policy: string;
  readonly resolves: boolean;
  readonly candidates: readonly {
    readonly target: string;
    readonly provider: string;
    readonly model: string;
    readonly tier: number;
    readonly price: string | null;
    readonly sits_out: string | null;
  }[];
  readonly problems: readonly Problem[];
}

async function explainRole(role: string, options: CommonOptions & { dispatch: 'any' | 'cron' }): Promise<void> {
  const input = { role, dispatch: options.dispatch };
  const explained = await ask<Explained>(configOf(options), { tool: 'policy_explain', input, access: 'read' });
  const isAsked = explained.resolves && explained.candidates.some(({ price }) => price !== null);
  process.exitCode = isAsked ? EXIT.ok : EXIT.failed;
  if (options.json === true) {
    printJson(explained);
    return;
  }
  if (explained.resolves) {
    const rows = explained.candidates.map(({ target, provider, model, tier, price }, index) => [
      String(index + 1),
      target,
      provider,
      model,
      String(tier),
      price ?? 'none: it is skipped',
    ]);
    printLine(`${printable(role)} asks, in this order (policy ${explained.policy}):`);
    printLine(table(['', 'TARGET', 'PROVIDER', 'MODEL', 'TIER', 'PRICE FROM'], rows));
    for (const { target, model, sits_out: why } of explained.candidates) {
      if (why !== null) printLine(`${printable(target)}/${printable(model)} sits out: ${printable(why)}`);
    }
    if (!isAsked) printLine('Nobody knows a price of any of them, so no call is made: add one under prices.');
    return;
  }
  printLine(`${printable(role)} resolves to nothing (policy ${explained.policy}): no call is made.`);
  for (const { row, problem, todo } of explained.problems) {
    printLine(`  ${printable(row)}: ${printable(problem)}`);
    printLine(`    ${spoken(printable(todo))}`);
  }
}

type Entry =
  | {
      readonly kind: 'version';
      readonly version: number;
      readonly at: string;
      readonly hash: string;
      readonly receipt: number;
    }
  | ({ readonly kind: 'edit' } & Edit);

async function showHistory(options: CommonOptions & { limit: number }): Promise<void> {
  const input = { limit: options.limit };
  const history = await ask<{ entries: readonly Entry[] }>(configOf(options), {
    tool: 'policy_history',
    input,
    access: 'read',
  });
  if (options.json === true) {
    printJson(history);
    return;
  }
  if (history.entries.length === 0) printLine(spoken('No policy yet. Put one in force with `seed policy apply FILE`.'));
  for (const entry of history.entries) {
    if (entry.kind === 'edit') printLine(`  edited outside: ${editLine(entry)}`);
    else printLine(`version ${entry.version}  ${entry.at}  receipt ${entry.receipt}  ${entry.hash.slice(0, 16)}`);
  }
}

async function rollbackPolicy(version: number, options: CommonOptions): Promise<void> {
  const applied = await ask<Applied>(configOf(options), {
    tool: 'policy_rollback',
    input: { version },
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) {
    printJson(applied);
    return;
  }
  printChanges(applied);
  printLine(`Policy ${applied.version} is in force, as version ${version} was. Receipt ${applied.receipt} says so.`);
}

async function acknowledge(options: CommonOptions & { upTo?: number }): Promise<void> {
  const input = options.upTo === undefined ? {} : { up_to: options.upTo };
  const answer = await ask<{ acknowledged: number; receipt: number }>(configOf(options), {
    tool: 'policy_ack',
    input,
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) printJson(answer);
  else printLine(`Acknowledged ${counted(answer.acknowledged, 'edit')}. Receipt ${answer.receipt} says so.`);
}

// ---------------------------------------------------------------------------------------------

function printRemarks(file: string, { problems, warnings }: Pick<Checked, 'problems' | 'warnings'>): void {
  const at = (line: number | null): string => (line === null ? file : `${file}:${line}`);
  for (const { line, message } of problems) printLine(`${at(line)}: ${printable(message)}`);
  for (const { line, message } of warnings) printLine(`${at(line)}: note: ${printable(message)}`);
}

const SIGNS = { added: '+', removed: '-', changed: '~' } as const;

function printChanges({ changes }: Pick<Checked, 'changes'>): void {
  if (changes.length === 0) printLine('It changes nothing.');
  for (const { kind, what, before, after } of changes) {
    const values = kind === 'changed' ? `${before} → ${after}` : (after ?? before ?? '');
    printLine(`${SIGNS[kind]} ${printable(what)}: ${printable(values)}`);
  }
}

function editLine({ change, at, table: name, before, after, receipt, acknowledged }: Edit): string {
  const what = `${before ?? 'nothing'} → ${after ?? 'nothing'}`;
  const state = acknowledged === null ? '' : ', acknowledged';
  const record = receipt === null ? 'not on record yet' : `receipt ${receipt}`;
  return `change ${change}, ${at}, ${name}: ${printable(what)} (${record}${state})`;
}
