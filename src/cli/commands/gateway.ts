import type { Command } from 'commander';
import { ask } from '../ask.ts';
import { printJson, printLine } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

export function addGateway(program: Command): void {
  const gateway = program
    .command('gateway')
    .description('which models clients of the gateway may ask for; see docs/gateway.md');
  const map = gateway
    .command('map')
    .argument('<model>', 'a name as the client writes it, or its beginning with * at the end')
    .argument('<role>', 'a role of the policy')
    .description('let a model’s name mean a role (owner act)');
  common(map, { examples: ["seed gateway map 'claude-*' worker", "seed gateway map 'gpt-*' worker"] }).action(mapModel);
  const unmap = gateway
    .command('unmap')
    .argument('<model>', 'the name as it was mapped')
    .description('let a model’s name mean nothing again (owner act)');
  common(unmap, { examples: ["seed gateway unmap 'claude-*'"] }).action(unmapModel);
  const list = gateway.command('list').description('the names that clients may ask by');
  common(list, { examples: ['seed gateway list'] }).action(listModels);
}

async function mapModel(model: string, role: string, options: CommonOptions): Promise<void> {
  const input = { model, role };
  const answer = await ask<{ receipt: number }>(configOf(options), {
    tool: 'gateway_map',
    input,
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) printJson(answer);
  else printLine(`${model} means ${role} now. Receipt ${answer.receipt} says so.`);
}

async function unmapModel(model: string, options: CommonOptions): Promise<void> {
  const answer = await ask<{ receipt: number }>(configOf(options), {
    tool: 'gateway_unmap',
    input: { model },
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) printJson(answer);
  else printLine(`${model} means nothing any more. Receipt ${answer.receipt} says so.`);
}

interface Listed {
  readonly roles: readonly string[];
  readonly mapped: readonly { readonly model: string; readonly role: string; readonly usable: boolean }[];
}

async function listModels(options: CommonOptions): Promise<void> {
  const listed = await ask<Listed>(configOf(options), { tool: 'gateway_list', access: 'read' });
  if (options.json === true) {
    printJson(listed);
    return;
  }
  const { roles, mapped } = listed;
  printLine(
    roles.length === 0
      ? 'No role of the policy can be asked on demand: see `seed policy explain`.'
      : `Roles, each a name by itself: ${roles.join(', ')}`,
  );
  if (mapped.length === 0) printLine('No model is mapped. Map one with: seed gateway map MODEL ROLE');
  for (const { model, role, usable } of mapped) {
    printLine(`${model} means ${role}${usable ? '' : ', which cannot be asked on demand: see `seed policy explain`'}`);
  }
}
