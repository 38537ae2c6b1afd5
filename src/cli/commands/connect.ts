import type { Command } from 'commander';
import { Argument, InvalidArgumentError, Option } from 'commander';
import { SeedError } from '../../errors.ts';
import type { Client, ClientName, Scope } from '../connect/clients.ts';
import { CLIENT_NAMES, CLIENTS, clientFile, isClientName, SCOPES } from '../connect/clients.ts';
import type { ServerEntry } from '../connect/command-line.ts';
import { isTemporary, serverEntry } from '../connect/command-line.ts';
import { printJson, printLine, spoken } from '../output.ts';
import { shellLine } from '../shell.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

/** What `connect` can set up, and what it can only describe. */
const TARGETS = [...CLIENT_NAMES, 'inspector', 'http'] as const;
type Target = (typeof TARGETS)[number];

export interface PlaceOptions extends CommonOptions {
  readonly scope: Scope;
  readonly name: string;
  readonly configFile?: string;
}

interface ConnectOptions extends PlaceOptions {
  readonly write?: boolean;
}

export function addConnect(program: Command): void {
  const command = program
    .command('connect')
    .addArgument(new Argument('<client>', 'the MCP client').choices(TARGETS))
    .description('show how a client is connected to this seed, or write it into the client’s configuration')
    .option('--write', 'write it, after a copy of the old file');
  common(addPlace(command), {
    examples: [
      'seed connect claude-desktop',
      'seed connect cursor --write',
      'seed connect claude-code --scope project --write',
      'seed connect vscode --config-file ~/.config/Code/User/profiles/work/mcp.json --write',
      'seed connect http',
    ],
  }).action(connect);
}

/** The options that say which entry of which file is meant. */
export function addPlace(command: Command): Command {
  return command
    .addOption(
      new Option('--scope <scope>', 'for all your projects, or for this folder’s').choices(SCOPES).default('user'),
    )
    .option('--name <name>', 'what the client calls the server', parseName, 'seed')
    .option('--config-file <file>', 'the client’s configuration file, where it is not in its usual place');
}

function parseName(name: string): string {
  if (/^[A-Za-z0-9_-]{1,32}$/.test(name)) return name;
  throw new InvalidArgumentError('A server name has 1 to 32 letters, digits, dashes and underscores.');
}

/** The file that an invocation is about. @throws SeedError `invalid_input` */
export function fileFor(client: Client, { scope, configFile }: PlaceOptions): string {
  const file = configFile ?? clientFile(client, scope);
  if (file !== null) return file;
  throw new SeedError('invalid_input', `${client.title} has one configuration for everything, none for a project.`, {
    hint: 'Leave --scope out.',
    data: { argument: 'scope' },
  });
}

async function connect(target: Target, options: ConnectOptions): Promise<void> {
  const { home } = configOf(options);
  if (isTemporary()) {
    process.stderr.write(
      'seed: This program runs from a temporary folder; install it before you connect clients to it.\n',
    );
  }
  if (isClientName(target)) await connectClient(target, home, options);
  else if (options.write === true) {
    throw new SeedError('invalid_input', `There is no configuration file to write for ${target}.`, {
      hint: 'Leave --write out.',
      data: { argument: 'write' },
    });
  } else if (target === 'inspector') showInspector(home, options);
  else await showHttp(options);
}

async function connectClient(name: ClientName, home: string, options: ConnectOptions): Promise<void> {
  const client: Client = CLIENTS[name];
  const file = fileFor(client, options);
  const entry = serverEntry({ as: name, home, saysType: client.saysType });
  if (options.write !== true) {
    showEntry(name, { client, file, entry }, options);
    return;
  }
  const { readConfigFile, replaceConfigFile } = await import('../connect/config-file.ts');
  const { addServer } = await import('../connect/edit.ts');
  const found = readConfigFile(file);
  const { text, change } = addServer(found.text ?? '', { ...client, name: options.name }, entry);
  const backup = change === 'none' ? null : replaceConfigFile(found, text);
  if (options.json === true) {
    printJson({ client: name, file: found.path, server: options.name, entry, change, backup });
    return;
  }
  const said = { added: 'Connected', updated: 'Connected anew', removed: '', none: 'Connected already' }[change];
  printLine(
    `${said}: ${client.title}, server "${options.name}" in ${found.path}${change === 'none' ? '; nothing was changed.' : '.'}`,
  );
  if (backup !== null) printLine(`The file as it was: ${backup}`);
  if (change !== 'none') printLine(client.afterwards);
}

function showEntry(
  name: ClientName,
  { client, file, entry }: { client: Client; file: string; entry: ServerEntry },
  options: ConnectOptions,
): void {
  const config = { [client.servers]: { [options.name]: entry } };
  if (options.json === true) {
    printJson({ client: name, file, server: options.name, entry, config, change: null, backup: null });
    return;
  }
  printLine(`For ${client.title}, in ${file}:`);
  printLine();
  printJson(config);
  printLine();
  if (name === 'claude-code') {
    const words = ['claude', 'mcp', 'add', '--scope', options.scope, options.name, '--', entry.command, ...entry.args];
    printLine(`Or let it do that itself: ${shellLine(words)}`);
  }
  printLine(`Add --write to have it put there. ${client.afterwards}`);
}

function showInspector(home: string, { json }: ConnectOptions): void {
  const { command, args } = serverEntry({ as: 'inspector', home, saysType: false });
  const words = ['npx', '@modelcontextprotocol/inspector', command, ...args];
  if (json === true) printJson({ client: 'inspector', command: words });
  else printLine(shellLine(words));
}

async function showHttp(options: ConnectOptions): Promise<void> {
  const { ask } = await import('../ask.ts');
  const { readSettings } = await import('../../substrate/home/settings.ts');
  const config = configOf(options);
  const status = await ask<{ url: string | null }>(config, { tool: 'seed_status', access: 'read' });
  const url = status.url ?? `http://127.0.0.1:${readSettings(config.home).port}/mcp`;
  if (options.json === true) {
    printJson({ client: 'http', url, headers: { Authorization: 'Bearer KEY' } });
    return;
  }
  printLine('For a helper that speaks MCP over streamable HTTP:');
  printLine();
  printLine(`  address  ${url}`);
  printLine('  header   Authorization: Bearer KEY');
  printLine();
  printLine(
    spoken('KEY is what `seed key issue NAME --profile helper` shows once; `seed key revoke NAME` shuts it out.'),
  );
  printLine(
    `For a client that starts programs only: seed mcp --url ${url} --key-file FILE, with the key in FILE (chmod 600).`,
  );
}
