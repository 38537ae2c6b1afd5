import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { SeedError } from '../../errors.ts';
import { ask } from '../ask.ts';
import { parseLifetime } from '../duration.ts';
import { printable, printJson, printLine, table } from '../output.ts';
import { callOwnerDoor } from '../owner-client.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf, endWithSignal } from './shared.ts';

/** A long poll of the tail; the next one follows at once. */
const WAIT_MS = 40_000;

export function addBus(program: Command): void {
  const bus = program.command('bus').description('messages: send, tail your inbox, see who is there, dead letters');
  addSend(bus);
  const tail = bus
    .command('tail')
    .description('print your messages as they come, and acknowledge each; until Ctrl+C')
    .option('--keep', 'do not acknowledge: they come again later');
  common(tail, {
    examples: ['seed bus tail', 'seed bus tail --json --keep'],
    exits: { failed: 'failed, or the daemon stopped', absent: 'no daemon serves this home' },
  }).action(tailInbox);
  common(bus.command('peers').description('who can be written to, and who is there now'), {
    examples: ['seed bus peers'],
  }).action(printPeers);
  addDead(bus);
}

interface SendOptions extends CommonOptions {
  readonly data?: boolean;
  readonly thread?: string;
  readonly key?: string;
  readonly expires?: number;
}

function addSend(bus: Command): void {
  const send = bus
    .command('send')
    .argument('<to>', 'a name, several with commas between, or topic:NAME')
    .argument('<text>', 'the message')
    .description('send a message')
    .option('--data', 'the message is JSON')
    .option('--thread <thread>', 'the thread to continue (default: a new one)')
    .option('--key <key>', 'send nothing twice under this key')
    .option('--expires <time>', 'how long it may wait: 12h, 7d (default: 30d)', parseLifetime);
  common(send, {
    examples: [
      'seed bus send reviewer "look at the branch fix-login"',
      'seed bus send topic:builds --data \'{"ok":true}\'',
    ],
    exits: { failed: 'refused: nobody of that name, or an inbox is full; nothing was sent' },
  }).action(sendMessage);
}

async function sendMessage(to: string, text: string, options: SendOptions): Promise<void> {
  const { data = false, thread, key, expires } = options;
  const input = {
    to: to.split(','),
    ...(data ? { data: parseData(text) } : { text }),
    ...(thread === undefined ? {} : { thread }),
    ...(key === undefined ? {} : { idempotency_key: key }),
    ...(expires === undefined ? {} : { expires_in_s: expires }),
  };
  const sent = await ask<{ receipt: number; thread: string; to: readonly { name: string }[]; repeated: boolean }>(
    configOf(options),
    { tool: 'bus_send', input, access: 'write' },
  );
  if (options.json === true) printJson(sent);
  else {
    const names = sent.to.map(({ name }) => name).join(', ');
    printLine(
      `${sent.repeated ? 'Sent before' : 'Sent'} to ${names} in thread ${sent.thread}. Receipt ${sent.receipt}.`,
    );
  }
}

function parseData(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new SeedError('invalid_input', 'The message is not JSON.', {
      hint: 'Leave out --data to send it as text.',
      cause,
    });
  }
}

interface Delivery {
  readonly id: string;
  readonly from: string;
  readonly thread: string;
  readonly sent: string;
  readonly text?: string;
  readonly data?: unknown;
}

interface TailOptions extends CommonOptions {
  readonly keep?: boolean;
}

/** Waits at the daemon, which wakes it; in a process of its own it would hold the home and wait for itself. */
async function tailInbox(options: TailOptions): Promise<void> {
  endWithSignal();
  const config = configOf(options);
  const { ownerSocketOf } = await import('../../main.ts');
  const socket = ownerSocketOf(config);
  const call = <T>(tool: string, input: object): Promise<T> =>
    callOwnerDoor(socket, { tool, input }, () => {}, { home: config.home }) as Promise<T>;
  for (;;) {
    const { messages } = await call<{ messages: readonly Delivery[] }>('bus_receive', { wait_ms: WAIT_MS });
    for (const message of messages) printDelivery(message, options.json === true);
    if (messages.length > 0 && options.keep !== true) await call('bus_ack', { ids: messages.map(({ id }) => id) });
  }
}

function printDelivery(message: Delivery, json: boolean): void {
  if (json) printLine(JSON.stringify(message));
  else {
    const { from, sent, thread, text, data } = message;
    const body = text ?? (data === undefined ? '(its content was erased)' : JSON.stringify(data));
    printLine(`${sent}  ${printable(from)}  (${printable(thread)})`);
    for (const line of body.split('\n')) printLine(`  ${printable(line)}`);
  }
}

interface Peer {
  readonly name: string;
  readonly kind: string;
  readonly connected: boolean;
  readonly last_seen: string | null;
  readonly waiting: number;
}

async function printPeers(options: CommonOptions): Promise<void> {
  const answer = await ask<{ peers: readonly Peer[]; topics: readonly string[] }>(configOf(options), {
    tool: 'bus_peers',
    access: 'read',
  });
  if (options.json === true) {
    printJson(answer);
    return;
  }
  const rows = answer.peers.map(({ name, kind, connected, last_seen: seen, waiting }) => [
    printable(name),
    kind,
    connected ? 'now' : (seen ?? 'never'),
    `${waiting}`,
  ]);
  printLine(rows.length === 0 ? 'Nobody has come in yet.' : table(['NAME', 'KIND', 'SEEN', 'WAITING'], rows));
  if (answer.topics.length > 0) printLine(`Topics: ${answer.topics.map((topic) => `topic:${topic}`).join(', ')}`);
}

interface Letter {
  readonly id: string;
  readonly recipient: string | null;
  readonly from: string;
  readonly thread: string;
  readonly sent: string;
  readonly died: string;
  readonly given_out: number;
  readonly reason: string;
  readonly text?: string;
  readonly data?: unknown;
}

function addDead(bus: Command): void {
  const dead = bus.command('dead').description('messages that nobody could deal with: list, show, retry, drop');
  const list = dead
    .command('list')
    .description('dead letters, with why')
    .option('--cursor <id>', 'go on after this one', parseDeadId);
  common(list, { examples: ['seed bus dead list'] }).action(listLetters);
  const one = (verb: string, description: string): Command =>
    dead.command(verb).argument('<id>', 'as `bus dead list` shows it', parseDeadId).description(description);
  common(one('show', 'one dead letter, with its text'), { examples: ['seed bus dead show 3.17'] }).action(showLetter);
  common(one('retry', 'put it back into its inbox, where it was'), { examples: ['seed bus dead retry 3.17'] }).action(
    async (id: string, options: CommonOptions) => {
      const answer = await ask<{ recipient: string; receipt: number }>(configOf(options), {
        tool: 'bus_retry',
        input: { id },
        access: 'write',
      });
      if (options.json === true) printJson(answer);
      else printLine(`It waits for ${answer.recipient} again. Receipt ${answer.receipt} says so.`);
    },
  );
  common(one('drop', 'let it go'), { examples: ['seed bus dead drop 3.17'] }).action(
    async (id: string, options: CommonOptions) => {
      const answer = await ask<{ receipt: number }>(configOf(options), {
        tool: 'bus_drop',
        input: { id },
        access: 'write',
      });
      if (options.json === true) printJson(answer);
      else printLine(`Dropped. Receipt ${answer.receipt} says so.`);
    },
  );
}

function parseDeadId(text: string): string {
  if (/^\d{1,9}\.\d{1,15}$/.test(text)) return text;
  throw new InvalidArgumentError('The id of a dead letter is two numbers with a dot, such as 3.17.');
}

async function listLetters({ cursor, ...options }: CommonOptions & { readonly cursor?: string }): Promise<void> {
  const answer = await ask<{ letters: readonly Letter[]; next_cursor: string | null }>(configOf(options), {
    tool: 'bus_dead',
    input: cursor === undefined ? {} : { cursor },
    access: 'read',
  });
  if (options.json === true) {
    printJson(answer);
    return;
  }
  const rows = answer.letters.map(({ id, recipient, from, died, reason }) => [
    id,
    printable(recipient ?? '(removed)'),
    printable(from),
    died,
    printable(reason),
  ]);
  printLine(rows.length === 0 ? 'There are no dead letters.' : table(['ID', 'FOR', 'FROM', 'DIED', 'BECAUSE'], rows));
  if (answer.next_cursor !== null) printLine(`More with --cursor ${answer.next_cursor}`);
}

async function showLetter(id: string, options: CommonOptions): Promise<void> {
  const letter = await ask<Letter>(configOf(options), { tool: 'bus_dead_show', input: { id }, access: 'read' });
  if (options.json === true) {
    printJson(letter);
    return;
  }
  const { recipient, from, thread, sent, died, given_out: givenOut, reason } = letter;
  printLine(`from ${printable(from)} to ${printable(recipient ?? 'somebody who was removed')}, thread ${thread}`);
  printLine(`sent ${sent}, died ${died}, given out ${givenOut} times`);
  printLine(`because: ${printable(reason)}`);
  const body = letter.text ?? (letter.data === undefined ? '(its content was erased)' : JSON.stringify(letter.data));
  for (const line of body.split('\n')) printLine(`  ${printable(line)}`);
}
