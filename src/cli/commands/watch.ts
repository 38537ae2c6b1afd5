import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { SeedError } from '../../errors.ts';
import { printable, printLine } from '../output.ts';
import { callOwnerDoor } from '../owner-client.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf, endWithSignal } from './shared.ts';

/** A long poll; the next one follows at once. The daemon answers as soon as something happened. */
const WAIT_MS = 40_000;
/** While no daemon serves there is nobody to wait at. */
const AWAY_MS = 500;

interface WatchOptions extends CommonOptions {
  readonly last: number;
}

interface Event {
  readonly receipt: number;
  readonly time: string;
  readonly who: string;
  readonly says: string;
}

interface Events {
  readonly events: readonly Event[];
  readonly after: number;
}

export function addWatch(program: Command): void {
  const watch = program
    .command('watch')
    .description('what happens, as it happens: every receipt in words, until Ctrl+C')
    .option('--last <n>', 'begin with the last so many (0 to 200)', parseLast, 10);
  common(watch, {
    examples: ['seed watch', 'seed watch --last 0 --json'],
    exits: { absent: 'no daemon serves this home' },
  }).action(follow);
}

function parseLast(text: string): number {
  const last = Number(text);
  if (/^\d{1,3}$/.test(text) && last <= 200) return last;
  throw new InvalidArgumentError('Give a whole number from 0 to 200.');
}

async function follow({ last, json, ...options }: WatchOptions): Promise<void> {
  endWithSignal();
  const config = configOf(options);
  const { ownerSocketOf } = await import('../../main.ts');
  const socket = ownerSocketOf(config);
  const ask = (input: object): Promise<Events> =>
    callOwnerDoor(socket, { tool: 'seed_watch', input }, () => {}, { home: config.home }) as Promise<Events>;
  const show = ({ events }: Events, shown: number): void => {
    for (const event of shown === 0 ? [] : events.slice(-shown)) printEvent(event, json === true);
  };
  // Whoever begins to watch where nobody serves is told so; afterwards the daemon may come and go.
  let seen = await ask({ limit: Math.max(1, last) });
  show(seen, last);
  for (;;) {
    const { after } = seen;
    seen = await patiently(() => ask({ after, wait_ms: WAIT_MS }));
    show(seen, seen.events.length);
  }
}

/** Asks until somebody answers: a daemon that stops is started again, and the log goes on where it was. */
async function patiently(ask: () => Promise<Events>): Promise<Events> {
  for (let told = false; ; ) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof SeedError) || !GONE.has(error.code)) throw error;
      if (!told) process.stderr.write('seed: The daemon is away; waiting until it is back.\n');
      told = true;
      await delay(AWAY_MS);
    }
  }
}

const GONE: ReadonlySet<string> = new Set(['daemon_absent', 'daemon_failed', 'stopping']);

function printEvent(event: Event, json: boolean): void {
  const { receipt, time, who, says } = event;
  if (json) printLine(JSON.stringify(event));
  else printLine(`${time.slice(0, 19)}Z  ${receipt}  ${printable(who)} ${printable(says)}`);
}
