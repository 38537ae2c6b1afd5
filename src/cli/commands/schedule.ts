import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { SeedError } from '../../errors.ts';
import type { ScheduleView } from '../../tools/schedule-view.ts';
import { ask } from '../ask.ts';
import { printable, printJson, printLine, table } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

const JOBS = ['drain', 'synthesizer', 'task'] as const;
const CATCH_UPS = ['skip', 'once', 'all'] as const;

export function addSchedule(program: Command): void {
  const schedule = program.command('schedule').description('what happens by the clock: list, add, remove, next');
  addList(schedule);
  addNext(schedule);
  addAdd(schedule);
  addRemove(schedule);
}

function addList(schedule: Command): void {
  const list = schedule.command('list').description('what is scheduled, when it is due, and how the last time went');
  common(list, { examples: ['seed schedule list'] }).action(async (options: CommonOptions) => {
    const { schedules } = await ask<{ schedules: readonly ScheduleView[] }>(configOf(options), {
      tool: 'schedule_list',
      access: 'read',
    });
    if (options.json === true) {
      printJson({ schedules });
      return;
    }
    if (schedules.length === 0) {
      printLine('Nothing is scheduled. Add something with `seed schedule add`; see --help.');
      return;
    }
    printLine(table(['NAME', 'SCHEDULE', 'JOB', 'AFTER DOWNTIME', 'NEXT', 'LAST'], schedules.map(row)));
  });
}

function row({ name, cron, job, task, catch_up: catchUp, next_local: next, waiting, last }: ScheduleView): string[] {
  const ended = last?.says === null || last === null ? '' : `: ${last.says}`;
  const lastTime = last === null ? 'not yet' : `${last.due_local}, ${last.state}${ended}`;
  return [
    name,
    cron,
    task === null ? job : `task: ${printable(task)}`,
    catchUp,
    `${next ?? 'at the next start'}${waiting > 0 ? ` (${waiting} waiting)` : ''}`,
    printable(lastTime),
  ];
}

interface NextOptions extends CommonOptions {
  readonly count: number;
  readonly cron?: string;
  readonly zone?: string;
}

function addNext(schedule: Command): void {
  const next = schedule
    .command('next')
    .argument('[name]', 'of this one alone')
    .description('the next times, in local words')
    .option('--count <n>', 'how many (1 to 100)', parseCount, 10)
    .option('--cron <schedule>', 'of one that you only think of')
    .option('--zone <zone>', 'in which zone that would be (default: the policy’s)');
  common(next, {
    examples: ['seed schedule next', 'seed schedule next --cron "30 2 * * *" --zone Europe/Berlin'],
  }).action(async (name: string | undefined, { home, json, ...rest }: NextOptions) => {
    const input = { ...(name === undefined ? {} : { name }), ...rest };
    const { times } = await ask<{ times: readonly { name: string; at: string; local: string }[] }>(
      configOf(home === undefined ? {} : { home }),
      { tool: 'schedule_next', input, access: 'read' },
    );
    if (json === true) printJson({ times });
    else if (times.length === 0) printLine('Nothing is scheduled.');
    else
      printLine(
        table(
          ['WHEN', 'UTC', 'WHAT'],
          times.map((each) => [each.local, `${each.at.slice(0, 19)}Z`, each.name]),
        ),
      );
  });
}

function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d{1,3}$/.test(text) && count >= 1 && count <= 100) return count;
  throw new InvalidArgumentError('Give a whole number from 1 to 100.');
}

interface AddOptions extends CommonOptions {
  readonly job?: (typeof JOBS)[number];
  readonly zone?: string;
  readonly catchUp: (typeof CATCH_UPS)[number];
  readonly task?: object;
  readonly title?: string;
  readonly subsystem?: string;
}

function addAdd(schedule: Command): void {
  const add = schedule
    .command('add')
    .argument('<name>', 'what it is called')
    .argument('<schedule>', 'minute, hour, day of the month, month, day of the week; in quotes')
    .description('have something happen by the clock')
    .addOption(new Option('--job <job>', 'what: the drain, the synthesizer, or a task is added').choices(JOBS))
    .option('--zone <zone>', 'such as Europe/Berlin (default: the policy’s)')
    .addOption(
      new Option('--catch-up <rule>', 'after downtime: nothing, the newest once, or all of it (up to 100)')
        .choices(CATCH_UPS)
        .default('once'),
    )
    .option('--title <title>', 'the task that is added each time')
    .option('--subsystem <name>', 'what that belongs to (default: general)')
    .option(
      '--task <json>',
      'the task whole: title, text, subsystem, acceptance, check, priority, deadline_s',
      parseTask,
    );
  common(add, {
    examples: [
      'seed schedule add evening-drain "0 21 * * 1-5" --job drain',
      'seed schedule add plants "0 9 * * sat" --zone Europe/Berlin --title "water the plants" --subsystem home',
    ],
  }).action(async (name: string, cron: string, options: AddOptions) => {
    const { json, zone, job, catchUp: catch_up } = options;
    const task = taskOf(options);
    const input = { name, cron, zone, catch_up, ...(task === null ? { job } : { job: 'task', task }) };
    const added = await ask<{ name: string; next: string; next_local: string; receipt: number }>(configOf(options), {
      tool: 'schedule_add',
      input,
      access: 'write',
      ownerAct: true,
    });
    if (json === true) printJson(added);
    else printLine(`${name} is due next ${added.next_local}. Receipt ${added.receipt}.`);
  });
}

/**
 * The task that is to be added each time; null where another job is to be done.
 * @throws SeedError `invalid_input` for options that do not go together
 */
export function taskOf({ job = 'task', title, subsystem, task }: AddOptions): object | null {
  const parts = { ...(title === undefined ? {} : { title }), ...(subsystem === undefined ? {} : { subsystem }) };
  const [part] = Object.keys(parts);
  const given = task === undefined ? part : 'task';
  if (given === undefined) {
    if (job !== 'task') return null;
    throw wrongOption('Neither a task nor another job is named.', 'Name a task with --title, or a job with --job.');
  }
  if (job !== 'task') {
    throw wrongOption(`--${given} does not belong to the job ${job}.`, 'It says what task is added: leave it out.');
  }
  if (task !== undefined && part !== undefined) {
    throw wrongOption(`--${part} and --task do not go together.`, `--task is the whole task: say its ${part} there.`);
  }
  if (task === undefined && title === undefined) {
    throw wrongOption('--title is missing.', 'Say what the task is that is added each time.');
  }
  return task ?? parts;
}

function wrongOption(message: string, hint: string): SeedError {
  return new SeedError('invalid_input', message, { hint });
}

function parseTask(text: string): object {
  try {
    const task: unknown = JSON.parse(text);
    if (typeof task === 'object' && task !== null && !Array.isArray(task)) return task;
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError('Write a JSON object, such as \'{"title":"water the plants"}\'.');
}

function addRemove(schedule: Command): void {
  const remove = schedule.command('remove').argument('<name>', 'which').description('have it happen no more');
  common(remove, { examples: ['seed schedule remove nightly-drain'] }).action(
    async (name: string, options: CommonOptions) => {
      const removed = await ask<{ name: string; receipt: number }>(configOf(options), {
        tool: 'schedule_remove',
        input: { name },
        access: 'write',
        ownerAct: true,
      });
      if (options.json === true) printJson(removed);
      else printLine(`${name} is not scheduled any more. Receipt ${removed.receipt}.`);
    },
  );
}
