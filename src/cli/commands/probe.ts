import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { ProbeView } from '../../tools/probe-list.ts';
import { ask } from '../ask.ts';
import { parseLifetime } from '../duration.ts';
import { printable, printJson, printLine, table } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf, parsePath } from './shared.ts';

export function addProbe(program: Command): void {
  const probe = program.command('probe').description('work outside the seed that it watches: add, list, remove');
  addAdd(probe);
  addList(probe);
  addRemove(probe);
}

interface AddOptions extends CommonOptions {
  readonly name: string;
  readonly every?: number;
  readonly finished?: boolean;
  readonly field?: string;
  readonly table?: string;
  readonly column?: string;
}

interface Added {
  readonly name: string;
  readonly known: boolean;
  readonly found: number;
  readonly last_done: string | null;
  readonly receipt: number;
}

/** Each kind with what it looks at. */
const KINDS = {
  git: 'commits of a repository, or of a folder in one',
  files: 'when files were changed: a folder with all below it, or a pattern in quotes',
  jsonl: 'a log with one JSON object a line',
  sqlite: 'a table of a SQLite database',
} as const;

const EXAMPLES: Readonly<Record<keyof typeof KINDS, string>> = {
  git: 'seed probe add git ~/work/website --name website',
  files: "seed probe add files '/backups/*.tar.gz' --name backups --every 1h",
  jsonl: 'seed probe add jsonl /var/log/jobs.jsonl --name jobs --field finished.at',
  sqlite: 'seed probe add sqlite /srv/shop.db --name orders --table orders --column shipped_at',
};

function addAdd(probe: Command): void {
  const add = probe.command('add').description('see when something is done there, and tell when that stops');
  for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
    const command = add
      .command(kind)
      .argument('<path>', KINDS[kind], parsePath)
      .description(KINDS[kind])
      .requiredOption('--name <name>', 'the subsystem that this is the work of')
      .option('--every <time>', 'how often to look: 5m, 1h (default: 15m)', parseLifetime)
      .option('--finished', 'nothing more is to come: its silence is no stall; without it, something is');
    if (kind === 'jsonl') command.option('--field <name>', 'the member with the time: time, or meta.time', 'time');
    if (kind === 'sqlite') {
      command.requiredOption('--table <name>', 'the table');
      command.requiredOption('--column <name>', 'the column with the time');
    }
    common(command, { examples: [EXAMPLES[kind]] }).action((path: string, options: AddOptions) =>
      addOne(kind, path, options),
    );
  }
}

async function addOne(kind: string, path: string, options: AddOptions): Promise<void> {
  const { home: _home, json, every, ...rest } = options;
  const input = { kind, path: resolve(path), ...(every === undefined ? {} : { every_s: every }), ...rest };
  const added = await ask<Added>(configOf(options), { tool: 'probe_add', input, access: 'write', ownerAct: true });
  if (json === true) {
    printJson(added);
    return;
  }
  const { name, known, found, last_done: last, receipt } = added;
  const finished = options.finished === true ? ' Its work is finished: silence is no stall.' : '';
  if (known) {
    printLine(`${name} is watched as before.${finished} Receipt ${receipt}.`);
    return;
  }
  const past =
    last === null ? 'nothing was done there yet' : `${count(found)} there, the newest of ${last.slice(0, 16)}Z`;
  printLine(`${name} is watched: ${past}.${finished} Receipt ${receipt}.`);
}

function count(found: number): string {
  return found === 1 ? '1 completion' : `${found} completions`;
}

function addList(probe: Command): void {
  const list = probe.command('list').description('what is watched, and whether it can be read');
  common(list, { examples: ['seed probe list'] }).action(async (options: CommonOptions) => {
    const { probes } = await ask<{ probes: readonly ProbeView[] }>(configOf(options), {
      tool: 'probe_list',
      access: 'read',
    });
    if (options.json === true) {
      printJson({ probes });
      return;
    }
    if (probes.length === 0) {
      printLine('Nothing is watched. Begin with `seed probe add git PATH --name NAME`.');
      return;
    }
    printLine(table(['NAME', 'KIND', 'PATH', 'LAST DONE', 'LOOKS EVERY', ''], probes.map(row)));
    for (const { name, problem, problem_since: since } of probes) {
      if (problem !== null) printLine(`${name}, since ${(since ?? '').slice(0, 16)}Z: ${printable(problem)}`);
    }
  });
}

function row(probe: ProbeView): string[] {
  const { name, kind, path, in: where, every_s: every, finished, last_done: last, looked, problem } = probe;
  const state = problem !== null ? 'cannot be read' : finished ? 'finished' : '';
  return [
    name,
    kind,
    printable(where === null ? path : `${path} (${where})`),
    last === null ? (looked === null ? 'not looked at yet' : 'nothing yet') : `${last.slice(0, 16)}Z`,
    every % 3_600 === 0 ? `${every / 3_600} h` : `${Math.round(every / 60)} min`,
    state,
  ];
}

function addRemove(probe: Command): void {
  const remove = probe.command('remove').argument('<name>', 'which').description('watch it no more');
  common(remove, { examples: ['seed probe remove website'] }).action(async (name: string, options: CommonOptions) => {
    const removed = await ask<{ name: string; receipt: number }>(configOf(options), {
      tool: 'probe_remove',
      input: { name },
      access: 'write',
      ownerAct: true,
    });
    if (options.json === true) printJson(removed);
    else
      printLine(`${name} is not watched any more, and what was seen there is forgotten. Receipt ${removed.receipt}.`);
  });
}
