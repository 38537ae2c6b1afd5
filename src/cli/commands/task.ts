import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import type { TaskDetail, TaskView } from '../../tools/task-view.ts';
import { sentence } from '../../tools/text.ts';
import { ask, withSeed } from '../ask.ts';
import { parseLifetime } from '../duration.ts';
import { clipped, printable, printJson, printLine, table } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

const STATES = ['live', 'claimable', 'open', 'claimed', 'finished', 'done', 'cancelled'] as const;
const DUE = ['overdue', 'day', 'week'] as const;

/** What became of a task. */
interface Changed {
  readonly id: string;
  readonly title: string;
  readonly state: string;
  readonly lease: number;
  readonly lease_until: string | null;
  readonly check: 'passed' | 'failed' | null;
  readonly repeated: boolean;
  readonly receipt: number;
}

export function addTask(program: Command): void {
  const task = program.command('task').description('work that agents owe each other and you: add, list, claim, verify');
  addAdd(task);
  addList(task);
  addActs(task);
}

interface AddOptions extends CommonOptions {
  readonly text?: string;
  readonly subsystem?: string;
  readonly accept?: readonly string[];
  readonly check?: object;
  readonly deadline?: string;
  readonly priority?: number;
  readonly needs?: readonly string[];
}

function addAdd(task: Command): void {
  const add = task
    .command('add')
    .argument('<title>', 'what is to be done, in a line')
    .description('add a task')
    .option('--text <text>', 'more about it')
    .option('--subsystem <name>', 'what it belongs to (default: general)')
    .option('--accept <line...>', 'when it is done, a line each')
    .option(
      '--check <check>',
      'done once this is there: file:/PATH, receipt:ACTION or claim:ACTION, with @NAME whose',
      parseCheck,
    )
    .option('--deadline <time>', 'a date, or a time such as 2026-12-01T17:00:00Z')
    .option('--priority <n>', '1 is first, 5 last (default: 3)', parsePriority)
    .option('--needs <ids>', 'tasks to be done before, with commas between', parseIds);
  common(add, {
    examples: [
      'seed task add "mend the login" --subsystem website --accept "a user can log in" --deadline 2026-12-01',
      'seed task add "run the tests" --check claim:tests.passed@ci',
    ],
  }).action(async (title: string, options: AddOptions) => {
    const { accept, home: _home, json: _json, ...rest } = options;
    const input = { do: 'add', title, ...(accept === undefined ? {} : { acceptance: accept }), ...rest };
    say(await ask<Changed>(configOf(options), { tool: 'task_update', input, access: 'write' }), options);
  });
}

function parseCheck(text: string): object {
  const [, kind, what = '', by] = /^(file|receipt|claim):(.+?)(?:@([a-z0-9][a-z0-9._-]{0,63}))?$/.exec(text) ?? [];
  if (kind === 'file') return { file: text.slice('file:'.length) };
  if (kind === undefined) throw new InvalidArgumentError('Write file:/PATH, receipt:ACTION or claim:ACTION.');
  return { receipt: what, ...(by === undefined ? {} : { by }), ...(kind === 'claim' ? { claimed: true } : {}) };
}

function parsePriority(text: string): number {
  if (/^[1-5]$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Give a number from 1 (first) to 5 (last).');
}

function parseId(text: string): string {
  if (/^t\d{1,15}$/.test(text)) return text;
  throw new InvalidArgumentError('The id of a task is t and a number, such as t17.');
}

function parseIds(text: string): string[] {
  return text === '' ? [] : text.split(',').map(parseId);
}

interface ListOptions extends CommonOptions {
  readonly mine?: boolean;
  readonly subsystem?: string;
  readonly state: (typeof STATES)[number];
  readonly due?: (typeof DUE)[number];
  readonly limit: number;
  readonly cursor?: string;
}

function addList(task: Command): void {
  const list = task
    .command('list')
    .description('tasks, the most urgent first')
    .option('--mine', 'those that you hold or added')
    .option('--subsystem <name>', 'of that one alone')
    .addOption(new Option('--state <state>', 'which').choices(STATES).default('live'))
    .addOption(new Option('--due <when>', 'due within').choices(DUE))
    .option('--limit <n>', 'how many (1 to 100)', parseLimit, 50)
    .option('--cursor <cursor>', 'go on after the page before');
  common(list, {
    examples: ['seed task list', 'seed task list --state finished', 'seed task list --due overdue'],
  }).action(listTasks);
  const show = task.command('show').argument('<id>', 'a task', parseId).description('one task with its history');
  common(show, { examples: ['seed task show t17'] }).action(showTask);
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d{1,3}$/.test(text) && limit >= 1 && limit <= 100) return limit;
  throw new InvalidArgumentError('Give a whole number from 1 to 100.');
}

async function listTasks({ home, json, ...filter }: ListOptions): Promise<void> {
  const config = configOf(home === undefined ? {} : { home });
  const answer = await ask<{ tasks: readonly TaskView[]; next_cursor: string | null }>(config, {
    tool: 'task_list',
    input: filter,
    access: 'read',
  });
  if (json === true) {
    printJson({ tasks: answer.tasks, next_cursor: answer.next_cursor });
    return;
  }
  const rows = answer.tasks.map((task) => [
    task.id,
    task.state,
    `${task.priority}`,
    printable(task.subsystem),
    printable(task.held_by ?? ''),
    task.deadline === null ? '' : `${task.deadline}${task.overdue ? ' (overdue)' : ''}`,
    clipped(printable(task.title)) + whyOpen(task),
  ]);
  const headings = ['ID', 'STATE', 'PRIORITY', 'SUBSYSTEM', 'WHO', 'DEADLINE', 'TITLE'];
  printLine(rows.length === 0 ? 'There are no such tasks.' : table(headings, rows));
  if (answer.next_cursor !== null) printLine(`More with --cursor ${answer.next_cursor}`);
}

/** What an open task waits for, behind its title. */
function whyOpen({ waits_for: waits, note }: TaskView): string {
  if (waits.length > 0) return ` (waits for ${waits.join(', ')})`;
  return note === null ? '' : ` (${printable(note)})`;
}

async function showTask(id: string, options: CommonOptions): Promise<void> {
  const { task } = await ask<{ task: TaskDetail }>(configOf(options), {
    tool: 'task_list',
    input: { id },
    access: 'read',
  });
  if (options.json === true) {
    printJson(task);
    return;
  }
  const { taskBlock } = await import('../../tools/task-view.ts');
  for (const line of taskBlock(task).split('\n')) printLine(printable(line));
}

interface ActOptions extends CommonOptions {
  readonly note?: string;
  readonly for?: number;
  readonly reject?: boolean;
  readonly priority?: number;
  readonly needs?: readonly string[];
}

/** What can be done with one task, and what is asked besides a note. */
const ACTS = {
  claim: 'take it on, for a while',
  progress: 'tell how far it is; that renews the claim',
  finish: 'say that it is done; then somebody else verifies it, or its check holds',
  verify: 'say whether what somebody else finished is done',
  release: 'let go of it, whoever holds it',
  cancel: 'it is not to be done any more',
  reopen: 'it is to be done after all, or again',
  amend: 'change how urgent it is, or what it needs',
} as const;

/** These name the claim that they are of. */
const OF_A_LEASE: ReadonlySet<string> = new Set(['progress', 'finish', 'release']);

function addActs(task: Command): void {
  for (const [verb, description] of Object.entries(ACTS)) {
    const command = task.command(verb).argument('<id>', 'a task', parseId).description(description);
    command.option('--note <text>', 'a word on it');
    if (verb === 'claim' || verb === 'progress') command.option('--for <time>', 'how long: 90m, 12h', parseLifetime);
    if (verb === 'verify') command.option('--reject', 'it is not done: back to be done again');
    if (verb === 'amend') {
      command.option('--priority <n>', '1 is first, 5 last', parsePriority);
      command.option('--needs <ids>', 'all that it needs from now on, with commas between', parseIds);
    }
    common(command, { examples: [`seed task ${verb} t17`] }).action((id: string, options: ActOptions) =>
      act(verb, id, options),
    );
  }
}

async function act(verb: string, id: string, options: ActOptions): Promise<void> {
  const { note, for: seconds, reject, priority, needs } = options;
  const changed = await withSeed(configOf(options), { access: 'write' }, async (question) => {
    const lease = OF_A_LEASE.has(verb)
      ? (await question<{ task: TaskDetail }>({ tool: 'task_list', input: { id } })).task.attempts
      : undefined;
    const input = {
      do: verb,
      id,
      ...(lease === undefined ? {} : { lease }),
      ...(note === undefined ? {} : { note }),
      ...(seconds === undefined ? {} : { lease_s: seconds }),
      ...(reject === true ? { ok: false } : {}),
      ...(priority === undefined ? {} : { priority }),
      ...(needs === undefined ? {} : { needs }),
    };
    return question<Changed>({ tool: 'task_update', input });
  });
  say(changed, options);
}

function say(changed: Changed, { json }: CommonOptions): void {
  if (json === true) {
    printJson(changed);
    return;
  }
  const { id, title, state, lease_until: until, check, receipt, repeated } = changed;
  const more = until === null ? '' : ` until ${until}`;
  const word = repeated ? `was ${state} already` : `is ${state}`;
  printLine(`${id} ${word}${more}: ${sentence(printable(title))} Receipt ${receipt}.`);
  if (check === 'failed' && state === 'finished')
    printLine('Its check does not hold yet; finish it again once it does.');
}
