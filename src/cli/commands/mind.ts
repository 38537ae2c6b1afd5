import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { ask } from '../ask.ts';
import { EXIT, printable, printJson, printLine, spoken, table } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface MindView {
  readonly state: 'off' | 'resting' | 'working' | 'silent';
  readonly paused: boolean;
  readonly halted: boolean;
  readonly restarts: number;
  readonly looks_within_s: number | null;
  readonly organs: readonly { name: string; on: boolean; working: boolean; why: string }[];
}

interface Decision {
  readonly at: string;
  readonly organ: string;
  readonly act: string;
  readonly because: string;
  readonly done: number | null;
  readonly says: string | null;
}

interface Run {
  readonly organ: string;
  readonly because: string;
  readonly done: number;
  readonly says: string | null;
  readonly code: string | null;
}

interface LogOptions extends CommonOptions {
  readonly limit: number;
  readonly organ?: string;
}

/** Models may think for long. */
const ONCE_WAIT_MS = 60 * 60 * 1_000;
const LOG_MAX = 500;

export function addMind(program: Command): void {
  const mind = program
    .command('mind')
    .description('what your seed does by itself: its organs, and why they work or rest');
  const status = mind.command('status').description('each organ, and why it works or rests');
  common(status, { examples: ['seed mind status', 'seed mind status --json'] }).action(showStatus);
  const log = mind
    .command('log')
    .description('what the mind decided and why, the newest last')
    .option('--limit <n>', `decisions (1 to ${LOG_MAX})`, parseLimit, 20)
    .option('--organ <name>', 'of this organ alone');
  common(log, { examples: ['seed mind log', 'seed mind log --organ digestor --limit 100'] }).action(showLog);
  const pause = mind.command('pause').description('let no organ work by itself until `seed mind resume` (owner act)');
  common(pause, { examples: ['seed mind pause'] }).action((options: CommonOptions) => setPaused('mind_pause', options));
  const resume = mind.command('resume').description('let the organs work again (owner act)');
  common(resume, { examples: ['seed mind resume'] }).action((options: CommonOptions) =>
    setPaused('mind_resume', options),
  );
  const once = mind.command('once').description('do all that waits, now, also while paused or without a daemon');
  common(once, {
    examples: ['seed mind once', 'seed mind once --json'],
    exits: { failed: 'an organ failed' },
  }).action(runOnce);
  for (const word of ['on', 'off'] as const) {
    const command = mind
      .command(word)
      .argument('<organ>', 'as `seed mind status` names it')
      .description(word === 'on' ? 'let an organ work by itself (owner act)' : 'let an organ work no more (owner act)');
    common(command, { examples: [`seed mind ${word} worker`] }).action((organ: string, options: CommonOptions) =>
      setOrgan({ organ, on: word === 'on' }, options),
    );
  }
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d{1,3}$/.test(text) && limit >= 1 && limit <= LOG_MAX) return limit;
  throw new InvalidArgumentError(`Give a whole number from 1 to ${LOG_MAX}.`);
}

async function showStatus(options: CommonOptions): Promise<void> {
  const view = await ask<MindView>(configOf(options), { tool: 'mind_status', access: 'read' });
  if (options.json === true) {
    printJson(view);
    return;
  }
  printLine(spoken(headline(view)));
  const rows = view.organs.map(({ name, on, working, why }) => [
    name,
    working ? 'works' : on ? 'on' : 'off',
    printable(why),
  ]);
  printLine(table(['ORGAN', 'IS', 'WHY'], rows));
}

function headline({ state, paused, halted, looks_within_s: within, restarts }: MindView): string {
  const again =
    restarts === 0 ? '' : ` It stood still ${restarts === 1 ? 'once' : `${restarts} times`} and was replaced.`;
  if (state === 'off') {
    const now = paused ? ' It is paused: `seed mind resume` ends that.' : '';
    return `The mind does not turn: no daemon serves this home. \`seed mind once\` does what waits.${now}`;
  }
  if (halted) return `The mind is halted with the seed; \`seed resume\` ends that.${again}`;
  if (paused) return `The mind is paused; \`seed mind resume\` ends that.${again}`;
  if (state === 'working') return `The mind works.${again}`;
  if (state === 'silent') return `The mind stands still and is about to be replaced.${again}`;
  return `The mind rests; it looks again within ${within ?? 60} s, or as soon as something happens.${again}`;
}

async function showLog({ limit, organ, ...options }: LogOptions): Promise<void> {
  const { decisions } = await ask<{ decisions: readonly Decision[] }>(configOf(options), {
    tool: 'mind_log',
    input: { limit, ...(organ === undefined ? {} : { organ }) },
    access: 'read',
  });
  if (options.json === true) {
    printJson({ decisions });
    return;
  }
  if (decisions.length === 0) printLine('The mind has not done anything yet.');
  for (const { at, organ: name, act, because, done, says } of decisions
    .toReversed()
    .toSorted((a, b) => a.at.localeCompare(b.at))) {
    const verb = act === 'run' ? 'ran' : act === 'stop' ? 'was stopped' : name === 'all' ? 'rest' : 'rests';
    const end = act === 'run' ? ` → ${says ?? sayDone(done)}` : '';
    printLine(`${at.slice(0, 19)}Z  ${name} ${verb}: ${printable(because)}${printable(end)}`);
  }
}

function sayDone(done: number | null): string {
  return done === null || done === 0 ? 'nothing had to be done' : `${done} done`;
}

async function setPaused(tool: 'mind_pause' | 'mind_resume', options: CommonOptions): Promise<void> {
  const answer = await ask<{ changed: boolean; receipt: number | null }>(configOf(options), {
    tool,
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) printJson(answer);
  else if (!answer.changed)
    printLine(`The mind is ${tool === 'mind_pause' ? 'paused already' : 'not paused'}; nothing was changed.`);
  else if (tool === 'mind_pause')
    printLine(
      spoken(`Paused: no organ works by itself until \`seed mind resume\`. Receipt ${answer.receipt} says so.`),
    );
  else printLine(`The organs work again. Receipt ${answer.receipt} says so.`);
}

async function setOrgan({ organ, on }: { organ: string; on: boolean }, options: CommonOptions): Promise<void> {
  const answer = await ask<{ scopes: readonly string[]; receipt: number }>(configOf(options), {
    tool: 'mind_switch',
    input: { organ, on },
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) {
    printJson(answer);
    return;
  }
  printLine(`${organ} is ${on ? 'on' : 'off'}. Receipt ${answer.receipt} says so.`);
  if (on && answer.scopes.length > 0) printLine(`It acts as seed-${organ} and may: ${answer.scopes.join(', ')}.`);
}

async function runOnce(options: CommonOptions): Promise<void> {
  const { runs } = await ask<{ runs: readonly Run[] }>(configOf(options), {
    tool: 'mind_once',
    access: 'write',
    waitMs: ONCE_WAIT_MS,
  });
  if (runs.some(({ code }) => code !== null)) process.exitCode = EXIT.failed;
  if (options.json === true) {
    printJson({ runs });
    return;
  }
  if (runs.length === 0) printLine('Nothing waited.');
  for (const { organ, because, done, says, code } of runs) {
    const end = code === null ? (says ?? sayDone(done)) : `failed (${code}): ${says ?? ''}`;
    printLine(`${organ}: ${printable(because)} → ${printable(end)}`);
  }
}
