import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { dollars } from '../../substrate/ledger/money.ts';
import { ask } from '../ask.ts';
import { clipped, printable, printJson, printLine, spoken, table } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface Settings {
  readonly steps: number;
  readonly budget_micro_usd: number;
  readonly minutes: number;
  readonly subsystems: readonly string[] | null;
  readonly helpers: boolean;
}

interface Shown {
  readonly on: boolean;
  readonly stopped: 'halted' | 'paused' | null;
  readonly held: string | null;
  readonly held_until: string | null;
  readonly settings: Settings;
  readonly runs: readonly {
    readonly task: string;
    readonly title: string;
    readonly state: string;
    readonly why: string;
    readonly tried_again: string | null;
    readonly steps: number;
    readonly worked_s: number;
    readonly spent_micro_usd: number;
  }[];
}

interface SetOptions extends CommonOptions {
  readonly steps?: number;
  readonly usd?: number;
  readonly minutes?: number;
  readonly subsystems?: readonly string[];
  readonly helpers?: 'on' | 'off';
}

export function addWorker(program: Command): void {
  const worker = program
    .command('worker')
    .description('the seed’s own worker: what it took on, and its limits; `seed mind on worker` turns it on');
  const show = worker.command('show').description('what it took on, why it waits, and its limits');
  common(show, { examples: ['seed worker show', 'seed worker show --json'] }).action(showWorker);
  const set = worker
    .command('set')
    .description('set the limits of a task, and which tasks it takes on (owner act)')
    .option('--steps <n>', 'answers of a model, for one task (1 to 200)', wholeUpTo(200))
    .option('--usd <amount>', 'what they may cost, such as 0.50', parseUsd)
    .option('--minutes <n>', 'how long it may work on one task (1 to 1440)', wholeUpTo(1_440))
    .option('--subsystems <names...>', 'take on the tasks of these alone; all: of every one')
    .addOption(new Option('--helpers <on|off>', 'take on what helpers from outside added').choices(['on', 'off']));
  common(set, {
    examples: [
      'seed worker set --steps 30 --usd 1',
      'seed worker set --subsystems website',
      'seed worker set --subsystems all',
    ],
  }).action(setWorker);
}

function wholeUpTo(most: number): (text: string) => number {
  return (text) => {
    const whole = /^\d{1,6}$/.test(text) ? Number(text) : 0;
    if (whole >= 1 && whole <= most) return whole;
    throw new InvalidArgumentError(`Give a whole number from 1 to ${most}.`);
  };
}

/** Dollars as whole micro-dollars. */
function parseUsd(text: string): number {
  const match = /^(\d{1,4})(?:\.(\d{1,6}))?$/.exec(text);
  const micro = match === null ? 0 : Number(match[1]) * 1_000_000 + Number((match[2] ?? '').padEnd(6, '0'));
  if (micro >= 1 && micro <= 1_000_000_000) return micro;
  throw new InvalidArgumentError('Give dollars, more than 0 and at most 1000, such as 0.50.');
}

async function showWorker(options: CommonOptions): Promise<void> {
  const shown = await ask<Shown>(configOf(options), { tool: 'worker_show', access: 'read' });
  if (options.json === true) printJson(shown);
  else printLine(screen(shown));
}

function screen({ on, stopped, held, held_until: until, settings, runs }: Shown): string {
  const rows = runs.map(
    ({ task, title, state, why, steps, worked_s: seconds, spent_micro_usd: spent, tried_again: again }) => [
      task,
      clipped(printable(title)),
      STATES[state] ?? state,
      String(steps),
      duration(seconds),
      dollars(spent),
      printable(why) + (again === null ? '' : `; tried again ${again}`),
    ],
  );
  return [
    on ? standing({ stopped, held, until }) : 'The worker is off. `seed mind on worker` turns it on.',
    sayLimits(settings),
    rows.length === 0
      ? 'It has taken on no task yet.'
      : table(['TASK', 'WHAT', 'IS', 'STEPS', 'WORKED', 'COST', 'WHY'], rows),
  ].join('\n\n');
}

const STATES: Readonly<Record<string, string>> = {
  handed_in: 'handed in',
  gave_up: 'given up',
  spent: 'at its limit',
};

function standing({
  stopped,
  held,
  until,
}: Pick<Shown, 'stopped' | 'held'> & { readonly until: string | null }): string {
  if (stopped === 'halted') return spoken('The seed is halted, and the worker with it; `seed resume` ends that.');
  if (stopped === 'paused') return spoken('The mind is paused, and the worker with it; `seed mind resume` ends that.');
  if (held === null) return 'The worker may work.';
  return `Waiting: ${printable(held)}${until === null ? '' : `, until ${until}`}.`;
}

function sayLimits({ steps, budget_micro_usd: budget, minutes, subsystems, helpers }: Settings): string {
  const whose = subsystems === null ? 'every subsystem' : subsystems.map(printable).join(', ');
  return `A task may take ${steps} steps, ${dollars(budget)} and ${minutes} minutes of work. It takes on tasks of ${whose}${helpers ? ', and what helpers from outside added too' : ', but none that helpers from outside added'}.`;
}

function duration(seconds: number): string {
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
}

async function setWorker(options: SetOptions): Promise<void> {
  const { steps, usd, minutes, subsystems, helpers } = options;
  const isAll = subsystems?.length === 1 && subsystems[0] === 'all';
  const input = {
    ...(steps === undefined ? {} : { steps }),
    ...(usd === undefined ? {} : { budget_micro_usd: usd }),
    ...(minutes === undefined ? {} : { minutes }),
    ...(subsystems === undefined ? {} : { subsystems: isAll ? null : subsystems }),
    ...(helpers === undefined ? {} : { helpers: helpers === 'on' }),
  };
  const answer = await ask<{ settings: Settings; receipt: number }>(configOf(options), {
    tool: 'worker_set',
    input,
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) printJson(answer);
  else printLine(`${sayLimits(answer.settings)} Receipt ${answer.receipt} says so.`);
}
