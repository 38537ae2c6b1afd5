import type { Command } from 'commander';
import type { Config } from '../../config.ts';
import { SeedError } from '../../errors.ts';
import { ask } from '../ask.ts';
import { printable, printJson, printLine, table } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface Request {
  readonly id: string;
  readonly agent: string;
  readonly scopes: readonly string[];
  readonly reason: string;
  readonly hash: string;
  readonly created: string;
  readonly expires: string;
}

export function addRequests(program: Command): void {
  const requests = program.command('requests').description('what agents ask of you: list, show, approve, deny');
  common(requests.command('list').description('what waits for your decision'), {
    examples: ['seed requests list'],
  }).action(listRequests);
  const show = requests
    .command('show')
    .argument('<id>')
    .description('one request, with the hash that a decision names');
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

async function pending(config: Config): Promise<readonly Request[]> {
  const { requests } = await ask<{ requests: readonly Request[] }>(config, { tool: 'request_list', access: 'read' });
  return requests;
}

async function listRequests(options: CommonOptions): Promise<void> {
  const requests = await pending(configOf(options));
  if (options.json === true) {
    printJson({ requests });
    return;
  }
  const rows = requests.map(({ id, agent, scopes, created, reason }) => [
    id,
    printable(agent),
    scopes.join(' '),
    created,
    printable(reason),
  ]);
  printLine(
    requests.length === 0 ? 'Nothing waits for you.' : table(['ID', 'AGENT', 'ASKS FOR', 'SINCE', 'BECAUSE'], rows),
  );
}

async function showRequest(id: string, options: CommonOptions): Promise<void> {
  const request = (await pending(configOf(options))).find((candidate) => candidate.id === id);
  if (request === undefined)
    throw new SeedError('not_found', `No request ${id} waits.`, { hint: 'See `seed requests list`.' });
  if (options.json === true) {
    printJson(request);
    return;
  }
  printLine(`${printable(request.agent)} asks for: ${request.scopes.join(', ')}`);
  printLine(`because: ${printable(request.reason)}`);
  printLine(`since ${request.created}, until ${request.expires}`);
  printLine(`hash ${request.hash}`);
}

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
