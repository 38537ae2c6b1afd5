import type { Command } from 'commander';
import { Argument } from 'commander';
import type { Client, ClientName } from '../connect/clients.ts';
import { CLIENT_NAMES, CLIENTS } from '../connect/clients.ts';
import { printJson, printLine } from '../output.ts';
import type { PlaceOptions } from './connect.ts';
import { addPlace, fileFor } from './connect.ts';
import { common } from './shared.ts';

export function addDisconnect(program: Command): void {
  const command = program
    .command('disconnect')
    .addArgument(new Argument('<client>', 'the MCP client').choices(CLIENT_NAMES))
    .description('take this seed out of a client’s configuration; its agent’s grant stays as it is');
  common(addPlace(command), {
    examples: ['seed disconnect cursor', 'seed disconnect claude-code --scope project --json'],
  }).action(disconnect);
}

async function disconnect(name: ClientName, options: PlaceOptions): Promise<void> {
  const client: Client = CLIENTS[name];
  const { readConfigFile, replaceConfigFile } = await import('../connect/config-file.ts');
  const { removeServer } = await import('../connect/edit.ts');
  const found = readConfigFile(fileFor(client, options));
  const { text, change } = removeServer(found.text ?? '', { ...client, name: options.name });
  const backup = change === 'none' ? null : replaceConfigFile(found, text);
  if (options.json === true) {
    printJson({ client: name, file: found.path, server: options.name, change, backup });
    return;
  }
  if (change === 'none') printLine(`${client.title} is not connected in ${found.path}; nothing was changed.`);
  else printLine(`Disconnected: ${client.title}, server "${options.name}" is gone from ${found.path}.`);
  if (backup !== null) printLine(`The file as it was: ${backup}`);
}
