import type { Command } from 'commander';
import { ask, withSeed } from '../ask.ts';
import { parseLifetime } from '../duration.ts';
import { printable, printJson, printLine, spoken, table } from '../output.ts';
import { parseSessionId, wholeSessionId } from '../session-id.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

export function addHandoff(program: Command): void {
  const handoff = program
    .command('handoff')
    .description('work that changes hands: offer, accept, status, show, withdraw');
  addOffer(handoff);
  addAccept(handoff);
  const status = handoff
    .command('status')
    .argument('[session]', 'also the handoffs of this session')
    .description('what is offered to you, what silent agents left, what you hold');
  common(status, { examples: ['seed handoff status'] }).action(printStatus);
  const show = handoff.command('show').argument('<handoff>').description('one handoff, its package told as a story');
  common(show, { examples: ['seed handoff show 4f2a91c0d7e34f2a91c0d7e34f2a91c0'] }).action(showHandoff);
  const withdraw = handoff.command('withdraw').argument('<handoff>').description('take an offer back');
  common(withdraw, {
    examples: ['seed handoff withdraw 4f2a91c0d7e34f2a91c0d7e34f2a91c0'],
    exits: { failed: 'refused: it was accepted already' },
  }).action(async (id: string, options: CommonOptions) => {
    const answer = await ask<{ receipt: number }>(configOf(options), {
      tool: 'handoff_withdraw',
      input: { handoff: id },
      access: 'write',
    });
    if (options.json === true) printJson(answer);
    else printLine(`Taken back. Receipt ${answer.receipt} says so.`);
  });
}

interface Offered {
  readonly handoff: string;
  readonly token: string;
  readonly to: string;
  readonly expires: string;
  readonly receipt: number;
}

interface OfferOptions extends CommonOptions {
  readonly to?: string;
  readonly note?: string;
  readonly expires?: number;
}

function addOffer(handoff: Command): void {
  const offer = handoff
    .command('offer')
    .argument('<session>', 'as `session list` shows it; its first digits will do', parseSessionId)
    .description('offer a session to somebody else; whoever holds it goes on until that one accepts')
    .option('--to <name>', 'the only one who may accept (default: whoever has the token)')
    .option('--note <text>', 'a word to go along')
    .option('--expires <time>', 'how long it stands: 12h, 7d (default: 1d)', parseLifetime);
  common(offer, {
    examples: ['seed handoff offer 4f2a91c0d7e34f2a91c0d7e34f2a91c0 --to cursor'],
  }).action(offerSession);
}

async function offerSession(session: string, options: OfferOptions): Promise<void> {
  const { to, note, expires } = options;
  const more = {
    ...(to === undefined ? {} : { to }),
    ...(note === undefined ? {} : { note }),
    ...(expires === undefined ? {} : { expires_in_s: expires }),
  };
  const offered = await withSeed(configOf(options), { access: 'write' }, async (question) => {
    const input = { session_id: await wholeSessionId(question, session), ...more };
    return question<Offered>({ tool: 'handoff_offer', input });
  });
  if (options.json === true) {
    printJson(offered);
    return;
  }
  printLine(`Offered to ${offered.to === '*' ? 'whoever has the token' : offered.to}, until ${offered.expires}.`);
  printLine(`token    ${offered.token}`);
  printLine(`handoff  ${offered.handoff}, receipt ${offered.receipt}`);
  printLine('The token is shown this once. Give it to the agent: it calls handoff_accept with it.');
}

interface AcceptOptions extends CommonOptions {
  readonly latest?: boolean;
  readonly session?: string;
}

interface Accepted {
  readonly session_id: string;
  readonly epoch: number;
  readonly from: string;
  readonly handoff: string;
  readonly superseded: boolean;
}

function addAccept(handoff: Command): void {
  const accept = handoff
    .command('accept')
    .argument('[token]', 'the token of the offer')
    .description('hold a session yourself: by its token, or the latest that a silent agent left')
    .option('--latest', 'without a token: what is offered to you, else what a silent agent left')
    .option('--session <id>', 'with --latest: this session');
  common(accept, {
    examples: ['seed handoff accept --latest'],
    exits: { failed: 'refused: for somebody else, expired, withdrawn, accepted already, or its holder is still there' },
  }).action(acceptSession);
}

async function acceptSession(token: string | undefined, options: AcceptOptions): Promise<void> {
  const { latest, session } = options;
  const input = {
    ...(token === undefined ? {} : { token }),
    ...(latest === true ? { latest } : {}),
    ...(session === undefined ? {} : { session_id: session }),
  };
  const config = configOf(options);
  const accepted = await ask<Accepted>(config, { tool: 'handoff_accept', input, access: 'write' });
  if (options.json === true) {
    printJson(accepted);
    return;
  }
  const { session_id: id, epoch, from, superseded } = accepted;
  if (superseded) printLine(`Session ${id} was yours at epoch ${epoch} and has moved on.`);
  else
    printLine(
      spoken(`Session ${id} is yours, epoch ${epoch}, from ${printable(from)}; see \`seed session show ${id}\`.`),
    );
}

interface HandoffRow {
  readonly handoff: string;
  readonly session_id: string;
  readonly from: string;
  readonly to: string;
  readonly status: string;
  readonly goal: string;
  readonly expires: string;
}

interface SessionRow {
  readonly session_id: string;
  readonly holder: string;
  readonly goal: string;
}

interface Status {
  readonly offered: readonly HandoffRow[];
  readonly silent: readonly SessionRow[];
  readonly held: readonly SessionRow[];
  readonly handoffs: readonly HandoffRow[];
}

async function printStatus(session: string | undefined, options: CommonOptions): Promise<void> {
  const input = session === undefined ? {} : { session_id: session };
  const status = await ask<Status>(configOf(options), { tool: 'handoff_status', input, access: 'read' });
  if (options.json === true) {
    printJson(status);
    return;
  }
  const rows = [
    ...status.offered.map(({ session_id: id, from, goal }) => ['offered to you', id, printable(from), printable(goal)]),
    ...status.silent.map(({ session_id: id, holder, goal }) => ['left', id, printable(holder), printable(goal)]),
    ...status.held.map(({ session_id: id, holder, goal }) => ['held', id, printable(holder), printable(goal)]),
  ];
  printLine(rows.length === 0 ? 'Nothing waits for you.' : table(['WHAT', 'SESSION', 'BY', 'GOAL'], rows));
  if (status.handoffs.length === 0) return;
  const handoffs = status.handoffs.map((row) => [
    row.handoff,
    printable(row.from),
    printable(row.to),
    row.status,
    row.expires,
  ]);
  printLine();
  printLine(table(['HANDOFF', 'FROM', 'TO', 'STATUS', 'UNTIL'], handoffs));
}

async function showHandoff(id: string, options: CommonOptions): Promise<void> {
  const shown = await ask<HandoffRow & { narrative: string; package_hash: string }>(configOf(options), {
    tool: 'handoff_show',
    input: { handoff: id },
    access: 'read',
  });
  if (options.json === true) {
    printJson(shown);
    return;
  }
  printLine(
    `${printable(shown.from)} to ${shown.to === '*' ? 'whoever has the token' : printable(shown.to)}, ${shown.status}, until ${shown.expires}`,
  );
  printLine(`session ${shown.session_id}, package ${shown.package_hash}`);
  printLine();
  for (const line of shown.narrative.split('\n')) printLine(printable(line));
}
