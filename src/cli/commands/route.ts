import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { dollars } from '../../substrate/ledger/money.ts';
import { ask } from '../ask.ts';
import { EXIT, printable, printJson, printLine, spoken } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

/** What the command shows of a call; the tool's answer has more. */
interface CallView {
  readonly id: string;
  readonly status: string;
  readonly text: string;
  readonly target: string | null;
  readonly model_requested: string | null;
  readonly model_returned: string | null;
  readonly cost_micro_usd: number;
  readonly receipt: number | null;
  readonly code: string | null;
  readonly message: string | null;
  readonly hint: string | null;
}

interface TraceView {
  readonly call: {
    readonly id: string;
    readonly role: string;
    readonly asked_by: string;
    readonly status: string;
  } | null;
  readonly steps: readonly {
    readonly receipt: number;
    readonly of: number | null;
    readonly time: string;
    readonly who: string;
    readonly outcome: string;
    readonly code: string | null;
    readonly input: string | null;
    readonly output: string | null;
    readonly detail: Readonly<Record<string, unknown>>;
  }[];
}

/** A model may take longer than a command usually waits for the daemon. */
const CALL_WAIT_MS = 15 * 60 * 1_000;
const ASK_WAIT_MS = 50_000;

export function addRoute(program: Command): void {
  const route = program.command('route').description('calls to models under your policy: ask, drain');
  const asking = route
    .command('ask')
    .argument('<role>', 'a role of your policy')
    .argument('<text>', 'what to ask')
    .description('ask a model of a role, within the ceilings');
  common(asking, {
    examples: ['seed route ask worker "Say hello in one word."'],
    exits: { failed: 'no whole answer: refused, failed or cut' },
  }).action(askRole);
  const drain = route
    .command('drain')
    .description('take up the work that waits for tier-1 models, now (owner act)')
    .option('--limit <n>', 'how much of it, at most', parseCount);
  common(drain, { examples: ['seed route drain', 'seed route drain --limit 1'] }).action(drainQueue);
  const trace = program
    .command('trace')
    .argument('<seq|hash>', 'a receipt’s number, or the hash of what went in or came out')
    .description('from any receipt or output of a model call to every step of it');
  common(trace, { examples: ['seed trace 4711', 'seed trace 9c1e…'] }).action(traceCall);
}

function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d{1,4}$/.test(text) && count >= 1 && count <= 1_000) return count;
  throw new InvalidArgumentError('Use a number from 1 to 1000.');
}

async function askRole(role: string, text: string, options: CommonOptions): Promise<void> {
  const input = { role, messages: [{ role: 'user', content: text }], wait_ms: ASK_WAIT_MS };
  const config = configOf(options);
  let call = await ask<CallView>(config, { tool: 'route_complete', input, access: 'write', waitMs: CALL_WAIT_MS });
  while (call.status === 'running') {
    const again = { id: call.id, wait_ms: ASK_WAIT_MS };
    call = await ask<CallView>(config, { tool: 'route_result', input: again, access: 'read', waitMs: CALL_WAIT_MS });
  }
  if (call.status !== 'complete') process.exitCode = EXIT.failed;
  if (options.json === true) printJson(call);
  else printCall(call);
}

function printCall(call: CallView): void {
  if (call.text !== '') printLine(printable(call.text));
  if (call.status !== 'complete' && call.message !== null) {
    printLine(
      `${call.status}: ${printable(call.message)}${call.hint === null ? '' : ` ${spoken(printable(call.hint))}`}`,
    );
  }
  if (call.target === null) return;
  const model = call.model_returned ?? call.model_requested ?? '?';
  const usd = (call.cost_micro_usd / 1e6).toFixed(6);
  printLine(`— ${printable(`${call.target}/${model}`)}, $${usd}, receipt ${call.receipt}`);
}

async function drainQueue({ limit, ...options }: CommonOptions & { limit?: number }): Promise<void> {
  const { calls } = await ask<{ calls: readonly CallView[] }>(configOf(options), {
    tool: 'route_drain',
    input: limit === undefined ? {} : { limit },
    access: 'write',
    ownerAct: true,
    waitMs: CALL_WAIT_MS,
  });
  if (options.json === true) {
    printJson({ calls });
    return;
  }
  if (calls.length === 0) printLine('Nothing waits for the drain.');
  for (const call of calls) {
    const why = call.code === null ? '' : ` (${call.code}) ${printable(call.message ?? '')}`;
    printLine(`${call.id}  ${call.status}${why}, receipt ${call.receipt ?? '?'}`);
  }
}

async function traceCall(what: string, options: CommonOptions): Promise<void> {
  const input = /^\d{1,15}$/.test(what) ? { seq: Number(what) } : { hash: what };
  const trace = await ask<TraceView>(configOf(options), { tool: 'route_trace', input, access: 'read' });
  if (options.json === true) {
    printJson(trace);
    return;
  }
  const { call, steps } = trace;
  if (call === null) printLine('Refused before it began.');
  else printLine(`Call ${call.id}: role ${call.role}, asked by ${printable(call.asked_by)}, ${call.status}.`);
  for (const step of steps) printStep(step);
}

/** How the name of a figure ends that is millionths of a dollar. */
const MICRO_USD = '_micro_usd';

function inWords(name: string): string {
  return name.replaceAll('_', ' ');
}

function printStep({ receipt, of, time, who, outcome, code, input, output, detail }: TraceView['steps'][number]): void {
  const settles = of === null ? '' : ` of ${of}`;
  printLine(
    `receipt ${receipt}  ${time}  ${outcome}${code === null ? '' : ` (${code})`}${settles}  by ${printable(who)}`,
  );
  const facts = Object.entries({ input, output, ...detail }).filter(([, value]) => value !== null);
  for (const [name, value] of facts) {
    const said = typeof value === 'string' ? value : JSON.stringify(value);
    const isMoney = name.endsWith(MICRO_USD) && typeof value === 'number';
    printLine(
      isMoney
        ? `    ${inWords(name.slice(0, -MICRO_USD.length))}: ${dollars(value)}`
        : `    ${inWords(name)}: ${printable(said)}`,
    );
  }
}
