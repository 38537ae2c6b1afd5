import type { Command } from 'commander';
import { ask } from '../ask.ts';
import type { GrantFacts } from '../grant-text.ts';
import { grantTable } from '../grant-text.ts';
import { printJson, printLine } from '../output.ts';
import type { Revoked } from './key.ts';
import { cutWords } from './key.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

export function addAgents(program: Command): void {
  const agents = program.command('agents').description('the local agents that have connected: list, rename, forget');
  common(agents.command('list').description('all local agents'), { examples: ['seed agents list'] }).action(listAgents);
  const rename = agents
    .command('rename')
    .argument('<agent>', 'its name or id')
    .argument('<name>', 'the new name')
    .description('give an agent another name');
  common(rename, { examples: ['seed agents rename cursor-2 reviewer'] }).action(renameAgent);
  const forget = agents
    .command('forget')
    .argument('<agent>', 'its name or id')
    .description('take an agent’s grant away and cut it off; it is a new one when it comes back');
  common(forget, { examples: ['seed agents forget cursor-2'] }).action(forgetAgent);
}

async function listAgents(options: CommonOptions): Promise<void> {
  const { grants } = await ask<{ grants: readonly GrantFacts[] }>(configOf(options), {
    tool: 'key_list',
    input: { door: 'agent' },
    access: 'read',
  });
  if (options.json === true) printJson({ agents: grants });
  else printLine(grants.length === 0 ? 'No agent has connected yet.' : grantTable(grants));
}

async function renameAgent(agent: string, name: string, options: CommonOptions): Promise<void> {
  const answer = await ask<{ receipt: number }>(configOf(options), {
    tool: 'agent_rename',
    input: { agent, name },
    access: 'write',
  });
  if (options.json === true) printJson(answer);
  else printLine(`${agent} is ${name} from now on. Receipt ${answer.receipt} says so.`);
}

async function forgetAgent(agent: string, options: CommonOptions): Promise<void> {
  const answer = await ask<Revoked>(configOf(options), {
    tool: 'key_revoke',
    input: { key: agent, door: 'agent' },
    access: 'write',
  });
  if (options.json === true) printJson(answer);
  else printLine(forgotten(answer));
}

/** A local agent is whoever connects by a name: what it held is gone, and a new one starts afresh. */
function forgotten({ name, removed, cut, receipt }: Revoked): string {
  const under = removed > 1 ? ` and ${removed - 1} issued under it` : '';
  return `What ${name}${under} held is gone.${cutWords(cut)} Whoever connects by that name again is a new agent. Receipt ${receipt} says so.`;
}
