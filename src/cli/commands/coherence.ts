import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { SeedError } from '../../errors.ts';
import type { AlarmView, EntryView, CoherenceView, SubsystemView } from '../../tools/coherence-view.ts';
import { ask } from '../ask.ts';
import { printable, printJson, printLine, spoken, table } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf, endWithSignal } from './shared.ts';

/** Between two looks of `--watch`. */
const LOOK_MS = 2_000;
/** The cursor home, and everything after it gone. */
const CLEAR_SCREEN = '\u001b[H\u001b[2J';

interface CoherenceOptions extends CommonOptions {
  readonly subsystem?: string;
  readonly history?: boolean;
  readonly watch?: boolean;
}

export function addCoherence(program: Command): void {
  const coherence = program
    .command('coherence')
    .description('whether the work gets done: what goes well, what stalls and since when, what was owed')
    .option('--subsystem <name>', 'that one alone, with all that is measured of it')
    .option('--history', 'alarms too, and with --subsystem what became of it over time')
    .option('--watch', 'draw it again whenever it changes, until Ctrl+C');
  common(coherence, {
    examples: ['seed coherence', 'seed coherence --watch', 'seed coherence --subsystem website --history'],
  })
    // Answered by us: whoever writes a name behind it wants to know how that is said.
    .allowExcessArguments()
    .action((options: CoherenceOptions, { args }: Command) => {
      if (args[0] !== undefined) throw noSuchCommand(args[0]);
      return options.watch === true ? watchCoherence(options) : showCoherence(options);
    });
  addLabel(coherence);
  addStages(coherence);
}

function noSuchCommand(word: string): SeedError {
  return new SeedError('invalid_input', `\`seed coherence\` has no command "${word}".`, {
    hint: `For one subsystem alone: \`seed coherence --subsystem ${word}\`. The commands are label, promote and demote.`,
  });
}

async function readCoherence({ subsystem, history, ...options }: CoherenceOptions): Promise<CoherenceView> {
  const input = { ...(subsystem === undefined ? {} : { subsystem }), ...(history === true ? { history } : {}) };
  return ask<CoherenceView>(configOf(options), { tool: 'coherence_read', input, access: 'read' });
}

async function showCoherence(options: CoherenceOptions): Promise<void> {
  const coherence = await readCoherence(options);
  if (options.json === true) printJson(coherence);
  else printLine(screen(coherence, options));
}

/** Looks again and again: a terminal gets a screen that goes along with time, anybody else what is new. */
async function watchCoherence(options: CoherenceOptions): Promise<void> {
  endWithSignal();
  for (let shown = ''; ; await delay(LOOK_MS)) {
    const coherence = await readPatiently(options, { isFirst: shown === '' });
    if (coherence === null) continue;
    const isScreen = options.json !== true && process.stdout.isTTY;
    const text = options.json === true ? JSON.stringify(coherence) : screen(coherence, options);
    const mark = isScreen ? text : newsOf(coherence);
    if (mark === shown) continue;
    shown = mark;
    if (!isScreen) printLine(text);
    else process.stdout.write(`${CLEAR_SCREEN}${text}\n\nCtrl+C ends this.\n`);
  }
}

/** What of it is news when it changes. Durations, scores and the days of the picture go along with time alone. */
export function newsOf({ subsystems, ...coherence }: CoherenceView): string {
  const news = subsystems.map(({ measures, says: _says, daily: _daily, ...subsystem }) => ({
    ...subsystem,
    known: measures.filter(({ score }) => score !== null).map(({ name, provisional }) => [name, provisional]),
  }));
  return JSON.stringify({ ...coherence, subsystems: news.toSorted((a, b) => (a.name < b.name ? -1 : 1)) });
}

/** What a daemon says, or does not, while it stops or starts. */
const GONE: ReadonlySet<string> = new Set(['daemon_absent', 'daemon_failed', 'stopping']);

/** A daemon that stops in the middle of an answer is no reason to end; null: to be asked again. */
async function readPatiently(
  options: CoherenceOptions,
  { isFirst }: { isFirst: boolean },
): Promise<CoherenceView | null> {
  try {
    return await readCoherence(options);
  } catch (error) {
    if (isFirst || !(error instanceof SeedError) || !GONE.has(error.code)) throw error;
    return null;
  }
}

function screen(coherence: CoherenceView, { subsystem }: CoherenceOptions): string {
  const { subsystems, not_shown: more, alarms, history } = coherence;
  const [only] = subsystems;
  if (only === undefined) {
    return spoken(
      'Nothing is measured yet: there is no task and no probe. `seed task add` and `seed probe add` begin.',
    );
  }
  return [
    headline(coherence),
    subsystemTable(subsystems),
    ...subsystems.flatMap(trouble),
    ...(subsystem === undefined ? [] : [measuresOf(only)]),
    ...(more === 0 ? [] : [`${more} more with --subsystem NAME.`]),
    ...(history === null ? [] : [historyOf(history)]),
    ...(alarms === null ? [] : [alarmTable(alarms)]),
  ].join('\n\n');
}

const OVERALL: Readonly<Record<CoherenceView['overall'], string>> = {
  stalled: 'Work has stalled.',
  drifting: 'Work goes on, but not as it did.',
  healthy: 'The work gets done.',
  unknown: 'Too little is known yet to say how the work goes.',
};

function headline({ overall }: CoherenceView): string {
  return OVERALL[overall];
}

function subsystemTable(subsystems: readonly SubsystemView[]): string {
  const rows = subsystems.map(({ name, status, provisional, daily, last_done: last, owed, stage, finished }) => [
    printable(name),
    `${status}${provisional ? '?' : ''}`,
    sparkline(daily),
    last === null ? 'never' : last.slice(0, 10),
    finished ? 'finished' : `${owed}`,
    stage,
  ]);
  const provisional = subsystems.some((each) => each.provisional) ? '\n? is provisional: known from little.' : '';
  return table(['SUBSYSTEM', 'STATUS', 'LAST 28 DAYS', 'LAST DONE', 'OWED', 'STAGE'], rows) + provisional;
}

const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const NONE = '·';

/** A bar for each count, the highest for the greatest of them; a dot where there was nothing. */
export function sparkline(counts: readonly number[]): string {
  const greatest = Math.max(1, ...counts);
  const bar = (count: number): string => BARS[Math.ceil((count / greatest) * BARS.length) - 1] ?? NONE;
  return counts.map(bar).join('');
}

/** What is wrong with a subsystem, and what to do about it. */
function trouble({ name, status, since, unseen_since: unseen, says, alarms }: SubsystemView): string[] {
  if (status === 'healthy' || (status === 'unknown' && unseen === null)) return [];
  const lines = [`${printable(name)} is ${status}${since === null ? '' : ` since ${since.slice(0, 19)}Z`}.`];
  lines.push(`  ${printable(says)}`);
  if (unseen !== null) lines.push(spoken('  `seed probe list` says where, and what to do.'));
  for (const { id, act, label } of alarms) {
    const done = act === null ? '' : ` (${act})`;
    const todo = label === null ? `was it right? \`seed coherence label ${id} right\`, or wrong` : `labelled ${label}`;
    lines.push(`  Alarm ${id}${done}: ${spoken(todo)}.`);
  }
  return [lines.join('\n')];
}

function measuresOf({ measures }: SubsystemView): string {
  const rows = measures.map(({ name, score, provisional, says }) => [
    name.replaceAll('_', ' '),
    score === null ? 'unknown' : `${score.toFixed(2)}${provisional ? '?' : ''}`,
    printable(says),
  ]);
  return table(['MEASURE', 'SCORE', 'WHAT IT SAYS'], rows);
}

function historyOf(history: readonly EntryView[]): string {
  const rows = history.map(({ at, status, provisional, says }) => [
    at.slice(0, 16).replace('T', ' '),
    `${status}${provisional ? '?' : ''}`,
    printable(says),
  ]);
  return rows.length === 0 ? 'There is no history yet.' : table(['WHEN (UTC)', 'STATUS', 'WHY'], rows);
}

function alarmTable(alarms: readonly AlarmView[]): string {
  const rows = alarms.map(({ id, subsystem, stage, raised, cleared, label, says }) => [
    id,
    printable(subsystem),
    stage,
    raised.slice(0, 16).replace('T', ' '),
    cleared === null ? 'open' : cleared.slice(0, 16).replace('T', ' '),
    label ?? '',
    printable(says),
  ]);
  const headings = ['ALARM', 'SUBSYSTEM', 'STAGE', 'RAISED (UTC)', 'OVER', 'LABEL', 'WHY'];
  return rows.length === 0 ? 'There was no alarm yet.' : table(headings, rows);
}

interface Labelled {
  readonly alarm: string;
  readonly label: string;
  readonly subsystem: string;
  readonly demoted_to: string | null;
  readonly receipt: number;
}

function addLabel(coherence: Command): void {
  const label = coherence
    .command('label')
    .argument('<alarm>', 'its id, such as a3', parseAlarm)
    .argument('<label>', 'right or wrong', parseLabel)
    .description('say whether an alarm was right; two wrong ones in a stage cost the stage');
  common(label, { examples: ['seed coherence label a3 right'] }).action(labelAlarm);
}

function parseAlarm(text: string): string {
  if (/^a\d{1,15}$/.test(text)) return text;
  throw new InvalidArgumentError('The id of an alarm is a and a number, such as a3.');
}

function parseLabel(text: string): string {
  if (text === 'right' || text === 'wrong') return text;
  throw new InvalidArgumentError('Say right or wrong.');
}

async function labelAlarm(alarm: string, label: string, options: CommonOptions): Promise<void> {
  const labelled = await ask<Labelled>(configOf(options), {
    tool: 'coherence_label',
    input: { alarm, label },
    access: 'write',
  });
  if (options.json === true) {
    printJson(labelled);
    return;
  }
  const { subsystem, demoted_to: stage, receipt } = labelled;
  printLine(`Alarm ${alarm} of ${printable(subsystem)} is labelled ${label}. Receipt ${receipt}.`);
  if (stage !== null) printLine(`It was wrong too often: coherence is back to "${stage}" for ${printable(subsystem)}.`);
}

interface Moved {
  readonly subsystem: string;
  readonly stage: string;
  readonly receipt: number;
}

const MOVES = {
  promote:
    'let coherence go one stage further: observe, shadow, advise, govern; refused until its alarms have earned it',
  demote: 'hold coherence back by one stage, at any time',
} as const;

function addStages(coherence: Command): void {
  for (const [verb, description] of Object.entries(MOVES)) {
    const command = coherence.command(verb).argument('<subsystem>', 'its name').description(description);
    common(command, { examples: [`seed coherence ${verb} website`] }).action(
      (subsystem: string, options: CommonOptions) => move(verb, subsystem, options),
    );
  }
}

async function move(verb: string, subsystem: string, options: CommonOptions): Promise<void> {
  const moved = await ask<Moved>(configOf(options), {
    tool: `coherence_${verb}`,
    input: { subsystem },
    access: 'write',
    ownerAct: verb === 'promote',
  });
  if (options.json === true) printJson(moved);
  else printLine(`Coherence is at "${moved.stage}" for ${printable(subsystem)}. Receipt ${moved.receipt}.`);
}
