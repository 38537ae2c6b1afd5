import type { Command } from 'commander';
import { Argument, InvalidArgumentError, Option } from 'commander';
import { SeedError } from '../../errors.ts';
import type { Client, ClientName, Scope } from '../connect/clients.ts';
import { CLIENT_NAMES, CLIENTS, clientFile, hooksFile, isClientName, SCOPES } from '../connect/clients.ts';
import type { ServerEntry } from '../connect/command-line.ts';
import { hookCommand, isTemporary, serverEntry } from '../connect/command-line.ts';
import type { Edited } from '../connect/edit.ts';
import { GATEWAY_CLIENTS, isGatewayClient } from '../connect/gateway.ts';
import type { Hooks } from '../connect/hooks.ts';
import type { DoorStatus } from '../output.ts';
import { printDoorProblem, printJson, printLine, spoken, spokenExample } from '../output.ts';
import { shellLine } from '../shell.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf, parsePath } from './shared.ts';

/** What `connect` can set up, and what it can only describe. */
const TARGETS = [...CLIENT_NAMES, 'inspector', 'http', 'codex', 'openai-sdk', 'anthropic-sdk'] as const;
type Target = (typeof TARGETS)[number];

export interface PlaceOptions extends CommonOptions {
  readonly scope: Scope;
  readonly name: string;
  readonly configFile?: string;
  readonly settingsFile?: string;
}

interface ConnectOptions extends PlaceOptions {
  readonly write?: boolean;
  readonly hooks?: boolean;
  readonly gateway?: boolean;
  readonly keyFile?: string;
  readonly role?: string;
}

export function addConnect(program: Command): void {
  const command = program
    .command('connect')
    .addArgument(new Argument('<client>', 'the MCP client').choices(TARGETS))
    .description('show how a client is connected to this seed, or write it into the client’s configuration')
    .option('--write', 'write it, after a copy of the old file')
    .option('--hooks', 'and hooks: tell at the start what waits, take over the transcript after each turn')
    .option('--gateway', 'let it ask its models through the seed instead (claude-code, codex and the SDKs)')
    .option('--key-file <file>', 'with --gateway: the file that holds the access key', parsePath)
    .option('--role <role>', 'with --gateway: the role that it is to ask for');
  common(addPlace(command), {
    examples: [
      'seed connect claude-desktop',
      'seed connect cursor --write',
      'seed connect claude-code --write --hooks',
      'seed connect claude-code --scope project --write',
      'seed connect vscode --config-file ~/.config/Code/User/profiles/work/mcp.json --write',
      'seed connect http',
      'seed connect claude-code --gateway --key-file ~/.seed-key --write',
      'seed connect openai-sdk --gateway',
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
    .option('--config-file <file>', 'the client’s configuration file, where it is not in its usual place')
    .option('--settings-file <file>', 'the client’s settings with its hooks, where they are not in their usual place');
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

/**
 * The settings with hooks that an invocation is about; null where the client has none, and where only its
 * configuration was named: then its settings lie elsewhere too.
 */
export function settingsFor(client: Client, { scope, configFile, settingsFile }: PlaceOptions): string | null {
  if (settingsFile !== undefined) return client.hooksFile === null ? null : settingsFile;
  return configFile === undefined ? hooksFile(client, scope) : null;
}

/** @throws SeedError `invalid_input` */
function hooksPlace(client: Client, options: ConnectOptions): string {
  const file = settingsFor(client, options);
  if (file !== null) return file;
  const [message, hint] =
    client.hooksFile === null
      ? [`${client.title} has no hooks that the seed knows.`, 'Leave --hooks out.']
      : ['Where the configuration is in a place of its own, so are the settings.', 'Name them with --settings-file.'];
  throw new SeedError('invalid_input', message, { hint, data: { argument: 'hooks' } });
}

async function connect(target: Target, options: ConnectOptions): Promise<void> {
  const { home } = configOf(options);
  if (options.gateway === true || isGatewayOnly(target)) {
    await connectToGateway(target, options);
    return;
  }
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

/** What has nothing to do with MCP: it only asks models. */
function isGatewayOnly(target: Target): boolean {
  return isGatewayClient(target) && !isClientName(target);
}

async function connectToGateway(target: Target, options: ConnectOptions): Promise<void> {
  if (!isGatewayClient(target)) {
    throw new SeedError('invalid_input', `${target} cannot be told where to ask its models.`, {
      hint: `--gateway is for ${GATEWAY_CLIENTS.join(', ')}.`,
      data: { argument: 'gateway' },
    });
  }
  const { connectGateway } = await import('./connect-gateway.ts');
  await connectGateway(target, options);
}

interface Planned {
  readonly client: Client;
  readonly file: string;
  readonly entry: ServerEntry;
  /** Null where no hooks are asked for. */
  readonly hooks: { readonly file: string; readonly wanted: Hooks; readonly config: object } | null;
}

async function connectClient(name: ClientName, home: string, options: ConnectOptions): Promise<void> {
  const client: Client = CLIENTS[name];
  const entry = serverEntry({ as: name, home, saysType: client.saysType });
  const hooks = options.hooks === true ? await planHooks(name, home, options) : null;
  const planned: Planned = { client, file: fileFor(client, options), entry, hooks };
  if (options.write === true) await writePlanned(name, planned, options);
  else showPlanned(name, planned, options);
}

async function planHooks(name: ClientName, home: string, options: ConnectOptions): Promise<Planned['hooks']> {
  const file = hooksPlace(CLIENTS[name], options);
  const { claudeHooks, hooksMember } = await import('../connect/hooks.ts');
  const wanted = claudeHooks((hook) => hookCommand(hook, { as: name, home }));
  return { file, wanted, config: hooksMember(wanted) };
}

/** What became of a client's file. */
export interface Written {
  readonly file: string;
  readonly change: Edited['change'];
  readonly backup: string | null;
}

/** Edits a client's file in one step, after a copy of it. @throws SeedError `conflict`; nothing is written then */
export async function editFile(path: string, edit: (text: string) => Edited): Promise<Written> {
  const { readConfigFile, replaceConfigFile } = await import('../connect/config-file.ts');
  const found = readConfigFile(path);
  const { text, change } = edit(found.text ?? '');
  const backup = change === 'none' ? null : replaceConfigFile(found, text);
  return { file: found.path, change, backup };
}

const SAID = { added: 'Connected', updated: 'Connected anew', removed: '', none: 'Connected already' } as const;
const SAID_OF_HOOKS = {
  added: 'Hooks set',
  updated: 'Hooks set anew',
  removed: '',
  none: 'Hooks set already',
} as const;

async function writePlanned(name: ClientName, planned: Planned, options: ConnectOptions): Promise<void> {
  const { client, entry } = planned;
  const { addServer } = await import('../connect/edit.ts');
  const { addHooks } = await import('../connect/hooks.ts');
  const place = { ...client, name: options.name };
  const server = await editFile(planned.file, (text) => addServer(text, place, entry));
  const { hooks } = planned;
  const set = hooks === null ? null : await editFile(hooks.file, (text) => addHooks(text, hooks.wanted));
  if (options.json === true) {
    printJson({ client: name, server: options.name, entry, ...server, ...(set === null ? {} : { hooks: set }) });
    return;
  }
  const tail = ({ change }: Written): string => (change === 'none' ? '; nothing was changed.' : '.');
  printLine(`${SAID[server.change]}: ${client.title}, server "${options.name}" in ${server.file}${tail(server)}`);
  if (server.backup !== null) printLine(`The file as it was: ${server.backup}`);
  if (set !== null) {
    printLine(`${SAID_OF_HOOKS[set.change]}: for the start and for the end of each turn, in ${set.file}${tail(set)}`);
    if (set.backup !== null) printLine(`The file as it was: ${set.backup}`);
  }
  if (server.change !== 'none' || (set !== null && set.change !== 'none')) printLine(client.afterwards);
}

function showPlanned(name: ClientName, { client, file, entry, hooks }: Planned, options: ConnectOptions): void {
  const config = { [client.servers]: { [options.name]: entry } };
  if (options.json === true) {
    const planned = hooks === null ? {} : { hooks: { file: hooks.file, config: hooks.config, change: null } };
    printJson({ client: name, file, server: options.name, entry, config, change: null, backup: null, ...planned });
    return;
  }
  printLine(`For ${client.title}, in ${file}:`);
  printLine();
  printJson(config);
  printLine();
  if (hooks !== null) {
    printLine(`And its hooks, in ${hooks.file}:`);
    printLine();
    printJson(hooks.config);
    printLine();
  }
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
  const status = await ask<DoorStatus>(config, { tool: 'seed_status', access: 'read' });
  const url = status.url ?? `http://127.0.0.1:${readSettings(config.home).port}/mcp`;
  if (options.json === true) {
    printJson({ client: 'http', url, headers: { Authorization: 'Bearer KEY' }, problem: status.problem });
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
    `For a client that starts programs only: ${spokenExample('seed mcp')} --url ${url} --key-file FILE, with the key in FILE (chmod 600).`,
  );
  printDoorProblem(status.problem);
}
