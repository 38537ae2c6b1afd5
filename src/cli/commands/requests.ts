import type { Command } from 'commander';
import { ask } from '../ask.ts';
import { printable, printJson, printLine, spoken, table } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface Request {
  readonly id: string;
  readonly agent: string;
  readonly issued_by: string | null;
  readonly grant: string;
  readonly scopes: readonly string[];
  readonly reason: string;
  readonly hash: string;
  readonly status: 'pending' | 'approved' | 'denied' | 'expired' | 'closed';
  readonly created: string;
  readonly expires: string;
  readonly decided: string | null;
}

interface ListOptions extends CommonOptions {
  readonly all?: boolean;
}

export function addRequests(program: Command): void {
  const requests = program.command('requests').description('what agents ask of you: list, show, approve, deny');
  const list = requests
    .command('list')
    .description('what waits for your decision')
    .option('--all', 'also what was decided, has expired, or is closed, newest first');
  common(list, { examples: ['seed requests list', 'seed requests list --all'] }).action(listRequests);
  const show = requests
    .command('show')
    .argument('<id>')
    .description('one request, with the hash that a decision names, or what became of it');
  common(show, { examples: ['seed requests show 4f2a91c0d7e3'] }).action(showRequest);
  for (const [verb, tool, meaning] of [
    ['approve', 'request_approve', 'give the agent what it asked for (owner act)'],
    ['deny', 'request_deny', 'turn it down'],
  ] as const) {
    const decide = requests
      .command(verb)
      .argument('<id>')
      .description(meaning)
      .requiredOption('--hash <hash>', 'the hash that `requests show` printed: what you read is what you decide on');
    common(decide, { examples: [`seed requests ${verb} 4f2a91c0d7e3 --hash 9c1e…`] }).action(
      (id: string, options: DecideOptions) => decideRequest(tool, id, options),
    );
  }
}

async function listRequests(options: ListOptions): Promise<void> {
  const all = options.all === true;
  const { requests } = await ask<{ requests: readonly Request[] }>(configOf(options), {
    tool: 'request_list',
    input: { all },
    access: 'read',
  });
  if (options.json === true) {
    printJson({ requests });
    return;
  }
  const rows = requests.map(({ id, agent, scopes, status, created, reason }) => [
    id,
    ...(all ? [status] : []),
    printable(agent),
    scopes.join(' '),
    created,
    printable(reason),
  ]);
  const headings = ['ID', ...(all ? ['STATUS'] : []), 'WHO', 'ASKS FOR', 'SINCE', 'BECAUSE'];
  const nothing = all ? 'Nobody has asked for anything yet.' : 'Nothing waits for you.';
  printLine(requests.length === 0 ? nothing : table(headings, rows));
}

async function showRequest(id: string, options: CommonOptions): Promise<void> {
  const request = await ask<Request>(configOf(options), { tool: 'request_show', input: { id }, access: 'read' });
  if (options.json === true) {
    printJson(request);
    return;
  }
  const by = request.issued_by === null ? '' : `, issued by ${printable(request.issued_by)}`;
  printLine(`${printable(request.agent)} (grant ${request.grant}${by}) asks for: ${request.scopes.join(', ')}`);
  if (by !== '') printLine('What you approve it has by your word, whether or not its issuer has it too.');
  printLine(`because: ${printable(request.reason)}`);
  printLine(`since ${request.created}, until ${request.expires}`);
  printLine(`hash ${request.hash}`);
  printLine(spoken(WHAT_NOW[request.status](request)));
}

/** What became of a request, or how it is decided. */
const WHAT_NOW: Readonly<Record<Request['status'], (request: Request) => string>> = {
  pending: ({ id, hash }) =>
    `It waits for you: \`seed requests approve ${id} --hash ${hash}\`, or \`deny\` in place of \`approve\`.`,
  approved: ({ decided }) => `You approved it on ${decided ?? 'an unknown day'}.`,
  denied: ({ decided }) => `You denied it on ${decided ?? 'an unknown day'}.`,
  expired: () => 'It has expired; nothing was decided.',
  closed: () => 'It is closed: the key or agent that asked is gone.',
};

interface DecideOptions extends CommonOptions {
  readonly hash: string;
}

async function decideRequest(
  tool: 'request_approve' | 'request_deny',
  id: string,
  options: DecideOptions,
): Promise<void> {
  const ownerAct = tool === 'request_approve';
  const answer = await ask<{ receipt: number; scopes: readonly string[] }>(configOf(options), {
    tool,
    input: { id, hash: options.hash },
    access: 'write',
    ownerAct,
  });
  if (options.json === true) printJson(answer);
  else if (ownerAct) printLine(`Approved; it may now: ${answer.scopes.join(', ')}. Receipt ${answer.receipt} says so.`);
  else printLine(`Denied. Receipt ${answer.receipt} says so.`);
}
