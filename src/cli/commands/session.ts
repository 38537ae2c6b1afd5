import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { HopView, SessionView } from '../../tools/session-schema.ts';
import { ask, withSeed } from '../ask.ts';
import { printable, printJson, printLine, table } from '../output.ts';
import { parseSessionId, wholeSessionId } from '../session-id.ts';
import { addSessionFiles } from './session-files.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

const MESSAGES = 20;
const GOAL_CHARS = 60;

export function addSession(program: Command): void {
  const session = program.command('session').description('work that outlives the model and the client');
  const list = session
    .command('list')
    .description('every session, the one changed last first')
    .option('--cursor <cursor>', 'go on after this one', parseCursor);
  common(list, { examples: ['seed session list'] }).action(listSessions);
  const show = session
    .command('show')
    .argument('<session>', 'as `session list` shows it; its first digits will do', parseSessionId)
    .description('where a session stands, and what was said last')
    .option('--from <message>', 'messages from this one on', parseIndex)
    .option('--full', 'each message as the JSON that is kept');
  common(show, { examples: ['seed session show 4f2a91c0d7e34f2a91c0d7e34f2a91c0', 'seed session show 4f2a91'] }).action(
    showSession,
  );
  const close = session
    .command('close')
    .argument('<session>', 'as `session list` shows it; its first digits will do', parseSessionId)
    .description('end a session, whoever holds it: its transcript stays, and nobody can go on with it');
  common(close, { examples: ['seed session close 4f2a91'] }).action(closeSession);
  addSessionFiles(session);
}

function parseIndex(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('The number of a message is a whole number from 0.');
}

function parseCursor(text: string): string {
  if (/^\d{1,15}\.[0-9a-f]{32}$/.test(text)) return text;
  throw new InvalidArgumentError('Give the cursor as the list showed it.');
}

interface Listed {
  readonly sessions: readonly {
    readonly session_id: string;
    readonly holder: string;
    readonly status: string;
    readonly goal: string;
    readonly messages: number;
    readonly changed: string;
  }[];
  readonly next_cursor: string | null;
}

async function listSessions({ cursor, ...options }: CommonOptions & { readonly cursor?: string }): Promise<void> {
  const answer = await ask<Listed>(configOf(options), {
    tool: 'session_list',
    input: cursor === undefined ? {} : { cursor },
    access: 'read',
  });
  if (options.json === true) {
    printJson(answer);
    return;
  }
  const rows = answer.sessions.map(({ session_id: id, holder, status, messages, changed, goal }) => [
    id,
    printable(holder),
    status,
    `${messages}`,
    changed,
    printable(inOneLine(goal)),
  ]);
  const headings = ['SESSION', 'HELD BY', 'STATUS', 'MESSAGES', 'CHANGED', 'GOAL'];
  printLine(rows.length === 0 ? 'There is no session yet.' : table(headings, rows));
  if (answer.next_cursor !== null) printLine(`More with --cursor ${answer.next_cursor}`);
}

/** The beginning of a goal, which may have paragraphs. */
function inOneLine(goal: string): string {
  const line = goal.replaceAll(/\s+/g, ' ');
  return line.length > GOAL_CHARS ? `${line.slice(0, GOAL_CHARS).toWellFormed()}…` : line;
}

async function closeSession(id: string, options: CommonOptions): Promise<void> {
  const closed = await withSeed(configOf(options), { access: 'write' }, async (question) => {
    const session = await wholeSessionId(question, id);
    return question<{ session_id: string; receipt: number }>({ tool: 'session_close', input: { session_id: session } });
  });
  if (options.json === true) printJson(closed);
  else printLine(`Closed session ${closed.session_id}; its transcript stays. Receipt ${closed.receipt}.`);
}

interface Shown extends SessionView {
  readonly hops: readonly HopView[];
  readonly shown: readonly { readonly index: number; readonly text: string }[];
  readonly next: { readonly from: number } | null;
}

interface ShowOptions extends CommonOptions {
  readonly from?: number;
  readonly full?: boolean;
}

async function showSession(id: string, { from, full, ...options }: ShowOptions): Promise<void> {
  const detail = full === true ? 'full' : 'concise';
  const shown = await withSeed(configOf(options), { access: 'read' }, async (question) => {
    const session = await wholeSessionId(question, id);
    const input = { session_id: session, limit: MESSAGES, detail, ...(from === undefined ? {} : { from }) };
    return question<Shown>({ tool: 'session_get', input });
  });
  if (options.json === true) {
    printJson(shown);
    return;
  }
  // The same words as agents read, loaded with the command that needs them.
  const { sayBudget, sayCalls, sayCheckpoint, sayHop } = await import('../../tools/session-schema.ts');
  const { holder, epoch, status, messages, hash, changed } = shown;
  printLine(`held by ${printable(holder)} (epoch ${epoch}), ${status}, changed ${changed}`);
  printLine(`${messages} messages, hash ${hash}; ${sayBudget(shown)}`);
  const words = `${sayCheckpoint(shown.checkpoint)}\n${sayCalls(shown.open_calls)}`;
  for (const line of words.split('\n')) if (line !== '') printLine(printable(line));
  for (const hop of shown.hops) printLine(printable(sayHop(hop)));
  for (const { index, text } of shown.shown) {
    // Indented, so that no line of a message looks like one of ours.
    const [first = '', ...rest] = text.split('\n');
    printLine(`${index}. ${printable(first)}`);
    for (const line of rest) printLine(`   ${printable(line)}`);
  }
  if (shown.next !== null) printLine(`More with --from ${shown.next.from}`);
}
