import { existsSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { readNotifierEnvironment } from '../../config.ts';
import { SeedError } from '../../errors.ts';
import { ask } from '../ask.ts';
import { printable, printJson, printLine, spoken, table } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

export function addNotify(program: Command): void {
  const notify = program.command('notify').description('how you are told of things: list, add, remove, test');
  common(notify.command('list').description('every notifier, of what it tells, and what it told last'), {
    examples: ['seed notify list'],
  }).action(listNotifiers);
  const add = notify
    .command('add')
    .argument('<name>', 'what the policy is to call it')
    .argument('<command...>', 'the program and its arguments, behind --; it is given the event as JSON on its input')
    .description('keep a command that tells you (owner act); which events it tells is in the policy, under notices');
  common(add, {
    examples: [
      'seed notify add phone -- curl -sS --data-binary @- https://ntfy.example.org/my-topic',
      'seed notify add mail -- /usr/local/bin/mail-me',
    ],
  }).action(addNotifier);
  const remove = notify
    .command('remove')
    .argument('<name>', 'its name')
    .description('keep that command no longer (owner act)');
  common(remove, { examples: ['seed notify remove phone'] }).action(removeNotifier);
  const test = notify.command('test').argument('<name>', 'its name, or desktop').description('tell you something now');
  common(test, { examples: ['seed notify test desktop'] }).action(testNotifier);
}

/**
 * The program by its absolute path, as the shell that the owner types in would find it: the daemon may have
 * another PATH.
 *
 * @throws SeedError `not_found`
 */
function absolute(program: string): string {
  if (isAbsolute(program)) return program;
  if (program.includes('/')) return resolve(program);
  const folders = (readNotifierEnvironment()['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  const found = folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new SeedError('not_found', `There is no program ${program} on the PATH.`, {
    hint: 'Name it by its whole path.',
  });
}

interface Set {
  readonly name: string;
  readonly command: readonly string[];
  readonly replaced: boolean;
  readonly receipt: number;
}

async function addNotifier(name: string, command: readonly string[], options: CommonOptions): Promise<void> {
  const [program = '', ...args] = command;
  const set = await ask<Set>(configOf(options), {
    tool: 'notifier_add',
    input: { name, command: [absolute(program), ...args] },
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) {
    printJson(set);
    return;
  }
  const instead = set.replaced ? ', in place of the one before' : '';
  printLine(`Kept the notifier ${name}: ${printable(set.command[0] ?? '')}${instead}. Receipt ${set.receipt} says so.`);
  printLine(spoken(`Try it with \`seed notify test ${name}\`. What it is to tell goes into your policy, such as:`));
  printLine(`  notices:\n    - { when: ceiling, to: ${name} }\n    - { when: request, to: ${name} }`);
}

interface Listed {
  readonly notifiers: readonly {
    readonly name: string;
    readonly command: readonly string[];
    readonly events: readonly string[];
    readonly problem: string | null;
  }[];
  readonly told: readonly {
    readonly at: string;
    readonly event: string;
    readonly notifier: string;
    readonly says: string;
    readonly state: 'told' | 'failed' | 'given_up';
    readonly tries: number;
    readonly retry_at: string | null;
  }[];
  readonly problem: string | null;
}

async function listNotifiers(options: CommonOptions): Promise<void> {
  const listed = await ask<Listed>(configOf(options), { tool: 'notifier_list', access: 'read' });
  if (options.json === true) {
    printJson(listed);
    return;
  }
  const rows = listed.notifiers.map(({ name, command, events, problem }) => [
    printable(name),
    problem ?? (command.length === 0 ? 'the desktop’s own' : printable(command[0] ?? '')),
    events.join(', ') || 'nothing',
  ]);
  printLine(table(['NAME', 'HOW', 'TELLS'], rows));
  if (listed.problem !== null) printLine(printable(listed.problem));
  if (listed.notifiers.every(({ events }) => events.length === 0)) {
    printLine(spoken('You are told of nothing yet: name events under `notices:` in your policy (`seed policy show`).'));
  }
  for (const { at, notifier, says, state, tries, retry_at: again } of listed.told) {
    const how =
      state === 'told'
        ? `told by ${notifier}`
        : `${notifier} failed ${tries === 1 ? 'once' : `${tries} times`}, ${again === null ? 'given up' : `again ${again}`}`;
    printLine(`${at}  ${printable(says)} (${printable(how)})`);
  }
}

async function removeNotifier(name: string, options: CommonOptions): Promise<void> {
  const removed = await ask<{ name: string; events: readonly string[]; receipt: number }>(configOf(options), {
    tool: 'notifier_remove',
    input: { name },
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) {
    printJson(removed);
    return;
  }
  printLine(`Removed the notifier ${name}. Receipt ${removed.receipt} says so.`);
  if (removed.events.length > 0) printLine(`The policy still names it for: ${removed.events.join(', ')}.`);
}

async function testNotifier(name: string, options: CommonOptions): Promise<void> {
  const tested = await ask<{ receipt: number }>(configOf(options), {
    tool: 'notifier_test',
    input: { name },
    access: 'write',
  });
  if (options.json === true) printJson({ name, ...tested });
  else printLine(`${name} ended well; did it reach you? Receipt ${tested.receipt} says that it was run.`);
}
