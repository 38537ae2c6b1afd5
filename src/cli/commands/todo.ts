import type { Command } from 'commander';
import { ask } from '../ask.ts';
import { printable, printJson, printLine, spoken } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface Item {
  readonly kind: string;
  readonly id: string;
  readonly since: string | null;
  readonly says: string;
  readonly todo: string;
}

const HEADINGS: Readonly<Record<string, string>> = {
  request: 'Requests',
  question: 'Questions to you',
  alert: 'Reported to you',
  message: 'Messages to you',
  policy: 'Policy',
  task: 'Tasks to verify',
  overdue: 'Tasks overdue',
  alarm: 'Alarms: were they right?',
  probe: 'Probes that cannot see',
  call: 'Calls in doubt',
  dead_letter: 'Dead letters',
  key: 'Keys that expire soon',
};

export function addTodo(program: Command): void {
  const todo = program.command('todo').description('what waits for you: requests, tasks to verify, what went wrong');
  common(todo, { examples: ['seed todo', 'seed todo --json'] }).action(async (options: CommonOptions) => {
    const told = await ask<{ items: readonly Item[]; dead_letters: number }>(configOf(options), {
      tool: 'seed_todo',
      access: 'read',
    });
    if (options.json === true) printJson(told);
    else for (const line of screen(told.items)) printLine(printable(line));
  });
}

function screen(items: readonly Item[]): string[] {
  if (items.length === 0) return ['Nothing waits for you.'];
  return [...Map.groupBy(items, ({ kind }) => kind)].flatMap(([kind, own]) => [
    `${HEADINGS[kind] ?? kind} (${own.length})`,
    ...own.flatMap(({ id, since, says, todo }) => [
      `  ${id}${since === null ? '' : `, ${since}`}: ${says}`,
      spoken(`    \`${todo}\``),
    ]),
  ]);
}
