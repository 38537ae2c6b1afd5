import type { Command } from 'commander';
import { Argument } from 'commander';
import { SeedError } from '../../errors.ts';
import type { Client, ClientName } from '../connect/clients.ts';
import { CLIENT_NAMES, CLIENTS } from '../connect/clients.ts';
import { printJson, printLine } from '../output.ts';
import type { PlaceOptions } from './connect.ts';
import { addPlace, editFile, fileFor, settingsFor } from './connect.ts';
import { common } from './shared.ts';

export function addDisconnect(program: Command): void {
  const command = program
    .command('disconnect')
    .addArgument(new Argument('<client>', 'the MCP client').choices(CLIENT_NAMES))
    .description('take this seed and its hooks out of a client’s configuration; its agent’s grant stays as it is');
  common(addPlace(command).option('--gateway', 'let it ask its models by itself again, and leave the rest'), {
    examples: [
      'seed disconnect cursor',
      'seed disconnect claude-code --scope project --json',
      'seed disconnect claude-code --gateway',
    ],
  }).action(disconnect);
}

async function disconnect(name: ClientName, options: PlaceOptions & { readonly gateway?: boolean }): Promise<void> {
  const client: Client = CLIENTS[name];
  if (options.gateway === true) {
    await disconnectGateway(name, options);
    return;
  }
  const { removeServer } = await import('../connect/edit.ts');
  const { removeHooks } = await import('../connect/hooks.ts');
  const place = { ...client, name: options.name };
  const server = await editFile(fileFor(client, options), (text) => removeServer(text, place));
  const settings = settingsFor(client, options);
  const hooks = settings === null ? null : await editFile(settings, removeHooks);
  const removed = hooks !== null && hooks.change !== 'none' ? hooks : null;
  if (options.json === true) {
    printJson({ client: name, server: options.name, ...server, ...(removed === null ? {} : { hooks: removed }) });
    return;
  }
  if (server.change === 'none') printLine(`${client.title} is not connected in ${server.file}; nothing was changed.`);
  else printLine(`Disconnected: ${client.title}, server "${options.name}" is gone from ${server.file}.`);
  if (server.backup !== null) printLine(`The file as it was: ${server.backup}`);
  if (removed === null) return;
  printLine(`Its hooks are gone from ${removed.file}.`);
  if (removed.backup !== null) printLine(`The file as it was: ${removed.backup}`);
}

async function disconnectGateway(name: ClientName, options: PlaceOptions): Promise<void> {
  const file = name === 'claude-code' ? settingsFor(CLIENTS[name], options) : null;
  if (file === null) {
    throw new SeedError('invalid_input', `There are no settings of ${CLIENTS[name].title} with the gateway in them.`, {
      hint: '--gateway is for claude-code.',
      data: { argument: 'gateway' },
    });
  }
  const { removeGateway } = await import('../connect/gateway.ts');
  const { gatewayOrigin, gatewayRoles } = await import('./connect-gateway.ts');
  const [origin, roles] = [await gatewayOrigin(options), await gatewayRoles(options)];
  const written = await editFile(file, (text) => removeGateway(text, origin, roles));
  if (options.json === true) printJson({ client: name, gateway: origin, ...written });
  else if (written.change === 'none') printLine(`${file} does not name this seed’s gateway; nothing was changed.`);
  else printLine(`Claude Code asks its models by itself again, by ${file}.`);
  if (options.json !== true && written.backup !== null) printLine(`The file as it was: ${written.backup}`);
}
