/** `seed connect CLIENT --gateway`: existing agents join by changing one base address. */
import { resolve } from 'node:path';
import { SeedError } from '../../errors.ts';
import { ask } from '../ask.ts';
import { CLIENTS } from '../connect/clients.ts';
import type { GatewayClient, GatewayFacts } from '../connect/gateway.ts';
import { addGateway, claudeSettings, codexConfig, sdkEnvironment } from '../connect/gateway.ts';
import { assertGatewayKey } from '../connect/gateway-key.ts';
import type { DoorStatus } from '../output.ts';
import { printDoorProblem, printJson, printLine, spoken } from '../output.ts';
import { shellLine } from '../shell.ts';
import type { PlaceOptions } from './connect.ts';
import { editFile, settingsFor } from './connect.ts';
import { configOf } from './shared.ts';

export interface GatewayOptions extends PlaceOptions {
  readonly write?: boolean;
  readonly keyFile?: string;
  readonly role?: string;
}

const TITLES: Readonly<Record<GatewayClient, string>> = {
  'claude-code': 'Claude Code',
  codex: 'Codex',
  'openai-sdk': 'a program with OpenAI’s SDK',
  'anthropic-sdk': 'a program with Anthropic’s SDK',
};

export async function connectGateway(client: GatewayClient, options: GatewayOptions): Promise<void> {
  const facts = await factsOf(options);
  if (options.write !== true) show(client, facts, options);
  else if (client === 'claude-code') await write(facts, options);
  else {
    throw new SeedError('invalid_input', `There is no file that --write could edit for ${TITLES[client]}.`, {
      hint: 'Leave --write out, and put the printed settings where they belong.',
      data: { argument: 'write' },
    });
  }
}

/** The role of the starter policy that is for such work; policies have it that began with it. */
const USUAL_ROLE = 'worker';

/** With whether any of Claude Code’s models is mapped to a role already. */
interface Facts extends GatewayFacts {
  readonly isMapped: boolean;
  /** Why that door is shut, where it should be open. */
  readonly problem: string | null;
}

/** Where the gateway of a home is, whether or not it serves at the moment. */
export async function gatewayOrigin(options: PlaceOptions): Promise<string> {
  return (await gatewayDoor(options)).origin;
}

async function gatewayDoor(options: PlaceOptions): Promise<{ origin: string; problem: string | null }> {
  const { readSettings } = await import('../../substrate/home/settings.ts');
  const config = configOf(options);
  const { url, problem } = await ask<DoorStatus>(config, { tool: 'seed_status', access: 'read' });
  return { origin: url === null ? `http://127.0.0.1:${readSettings(config.home).port}` : new URL(url).origin, problem };
}

/** The roles that may be asked on demand, and the names that are mapped to any. */
async function namesOf(options: PlaceOptions): Promise<{ roles: string[]; mapped: { model: string }[] }> {
  return ask(configOf(options), { tool: 'gateway_list', access: 'read' });
}

/** The roles that may be asked on demand. */
export async function gatewayRoles(options: PlaceOptions): Promise<readonly string[]> {
  return (await namesOf(options)).roles;
}

/** @throws SeedError for a role or a key that the gateway would refuse */
async function factsOf(options: GatewayOptions): Promise<Facts> {
  const listed = await namesOf(options);
  const { role } = options;
  if (role !== undefined && !listed.roles.includes(role)) throw noRole(role, listed.roles);
  const keyFile = options.keyFile === undefined ? null : resolve(options.keyFile);
  if (keyFile !== null) await assertGatewayKey(configOf(options), keyFile);
  return {
    ...(await gatewayDoor(options)),
    keyFile,
    role: role ?? listed.roles.find((each) => each === USUAL_ROLE) ?? listed.roles[0] ?? 'ROLE',
    isRoleNamed: role !== undefined,
    isMapped: listed.mapped.some(({ model }) => model.startsWith('claude')),
  };
}

function noRole(role: string, roles: readonly string[]): SeedError {
  const hint = roles.length === 0 ? 'Apply a policy first.' : `There are ${roles.slice(0, 10).join(', ')}.`;
  const message = `Policy has no role "${role}" that may be asked on demand.`;
  return new SeedError('not_found', message, { hint, data: { argument: 'role' } });
}

async function write(facts: Facts, options: GatewayOptions): Promise<void> {
  const { keyFile } = facts;
  const file = settingsFor(CLIENTS['claude-code'], options);
  if (keyFile === null) {
    throw new SeedError('invalid_input', 'The settings name the file that holds the access key.', {
      hint: 'Save the key that `seed key issue NAME --profile gateway` shows in a file of yours (chmod 600), and name it with --key-file.',
      data: { argument: 'key-file' },
    });
  }
  if (file === null) {
    throw new SeedError('invalid_input', 'Where the configuration is in a place of its own, so are the settings.', {
      hint: 'Name them with --settings-file.',
      data: { argument: 'settings-file' },
    });
  }
  const written = await editFile(file, (text) => addGateway(text, { ...facts, keyFile }));
  if (options.json === true) {
    printJson({ client: 'claude-code', gateway: facts.origin, ...written });
    return;
  }
  if (written.change === 'none')
    printLine(`Claude Code asks the gateway already, by ${written.file}; nothing was changed.`);
  else printLine(`Claude Code asks its models at ${facts.origin} from its next start on, by ${written.file}.`);
  if (written.backup !== null) printLine(`The file as it was: ${written.backup}`);
  if (!facts.isMapped) printLine(mapHint(facts));
  printDoorProblem(facts.problem);
}

/** Claude Code names models of its own; what they mean is the owner's to say. */
function mapHint({ role }: GatewayFacts): string {
  return spoken(
    `Its models mean nothing here yet: \`seed gateway map 'claude-*' ${role}\` makes them the role ${role}.`,
  );
}

function show(client: GatewayClient, facts: Facts, options: GatewayOptions): void {
  const { origin, role } = facts;
  if (options.json === true) {
    printJson({ client, gateway: origin, role, settings: settingsOf(client, facts), problem: facts.problem });
    return;
  }
  printLine(`For ${TITLES[client]}, to ask its models through the seed at ${origin}:`);
  printLine();
  const settings = settingsOf(client, facts);
  if (client === 'claude-code') {
    printLine(`In ${settingsFor(CLIENTS['claude-code'], options) ?? 'its settings'}:`);
    printJson(settings);
  } else {
    if (client === 'codex') printLine('In ~/.codex/config.toml:');
    printLine(String(settings));
  }
  if (client === 'codex') {
    printLine();
    printLine(`Then: ${codexLine(facts)}`);
  }
  printLine();
  if (facts.keyFile === null) {
    printLine(
      spoken('KEY is what `seed key issue NAME --profile gateway` shows once; save it where only you can read it.'),
    );
  }
  if (client === 'claude-code') {
    if (!facts.isMapped) printLine(mapHint(facts));
    printLine(`Add ${facts.keyFile === null ? '--key-file FILE --write' : '--write'} to have it put there.`);
  } else {
    printLine(
      spoken(`As the model, name the role ${role}, or a name that you mapped to it with \`seed gateway map\`.`),
    );
  }
  printDoorProblem(facts.problem);
}

/** Codex takes its key from the environment. */
function codexLine({ keyFile }: GatewayFacts): string {
  return `SEED_API_KEY=${keyFile === null ? 'KEY' : `"$(${shellLine(['cat', keyFile])})"`} codex --profile seed`;
}

function settingsOf(client: GatewayClient, facts: GatewayFacts): unknown {
  if (client === 'claude-code') return claudeSettings(facts);
  return client === 'codex' ? codexConfig(facts) : sdkEnvironment(client, facts).join('\n');
}
