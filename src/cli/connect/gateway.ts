/**
 * How a client that calls models by itself is pointed at the gateway: its base address, where it finds its key, and
 * which model it asks for. The key itself is written nowhere: a file that the user keeps has it.
 */
import { isDeepStrictEqual } from 'node:util';
import { SeedError } from '../../errors.ts';
import { shellLine } from '../shell.ts';
import type { Edited, Members } from './edit.ts';
import { checked, parse } from './edit.ts';
import { isBare, removeMember, setMember } from './members.ts';

export const GATEWAY_CLIENTS = ['claude-code', 'codex', 'openai-sdk', 'anthropic-sdk'] as const;
export type GatewayClient = (typeof GATEWAY_CLIENTS)[number];

export function isGatewayClient(name: string): name is GatewayClient {
  return (GATEWAY_CLIENTS as readonly string[]).includes(name);
}

export interface GatewayFacts {
  /** Such as `http://127.0.0.1:7331`. */
  readonly origin: string;
  /** The file that holds the access key; null where none was named. */
  readonly keyFile: string | null;
  /** The role that the client is to ask for. */
  readonly role: string;
  /** Whether that was said: then a client with models of its own asks for the role, by its name. */
  readonly isRoleNamed: boolean;
}

const KEY = 'KEY';

/** What goes into Claude Code's settings. Its key comes from a command that prints it. */
export function claudeSettings({ origin, keyFile, role, isRoleNamed }: GatewayFacts): Members {
  const env = { ANTHROPIC_BASE_URL: origin, ...(isRoleNamed && { ANTHROPIC_MODEL: role }) };
  if (keyFile === null) return { env: { ...env, ANTHROPIC_AUTH_TOKEN: KEY } };
  return { env, apiKeyHelper: shellLine(['cat', keyFile]) };
}

/** What Codex's `config.toml` gets: strings in TOML's basic form are those of JSON. */
export function codexConfig({ origin, role }: GatewayFacts): string {
  return [
    '[model_providers.seed]',
    'name = "seed"',
    `base_url = ${JSON.stringify(`${origin}/v1`)}`,
    'env_key = "SEED_API_KEY"',
    'wire_api = "responses"',
    '',
    '[profiles.seed]',
    'model_provider = "seed"',
    `model = ${JSON.stringify(role)}`,
  ].join('\n');
}

/** The environment that the official SDKs read. */
export function sdkEnvironment(client: 'openai-sdk' | 'anthropic-sdk', { origin, keyFile }: GatewayFacts): string[] {
  const key = keyFile === null ? KEY : `"$(cat ${shellLine([keyFile])})"`;
  return client === 'openai-sdk'
    ? [`export OPENAI_BASE_URL=${origin}/v1`, `export OPENAI_API_KEY=${key}`]
    : [`export ANTHROPIC_BASE_URL=${origin}`, `export ANTHROPIC_API_KEY=${key}`];
}

const PLACE = { allowsComments: false };

function envOf(document: Members): Members {
  const { env } = document;
  return typeof env === 'object' && env !== null && !Array.isArray(env) ? (env as Members) : {};
}

/** Whether a helper is one that only prints a file, as ours is. */
function isOurHelper(helper: unknown): boolean {
  return typeof helper === 'string' && /^cat (?:'(?:[^']|'\\'')+'|[\w./:@%=+,-]+)$/.test(helper);
}

/** Members that would be asked before the helper, so that the key would never be the seed's. */
const BEFORE_HELPER = ['ANTHROPIC_AUTH_TOKEN', 'ANTHROPIC_API_KEY'];

/** Points Claude Code at the gateway. @throws SeedError `conflict` where it has another key, helper, address or model */
export function addGateway(text: string, facts: GatewayFacts & { readonly keyFile: string }): Edited {
  const before = parse(text, PLACE);
  const { apiKeyHelper: helper } = before;
  if (helper !== undefined && !isOurHelper(helper)) throw inTheWay('apiKeyHelper');
  const inTheWayOf = BEFORE_HELPER.find((name) => envOf(before)[name] !== undefined);
  if (inTheWayOf !== undefined) throw inTheWay(`env.${inTheWayOf}`);
  const wanted = claudeSettings(facts);
  // With our helper beside them they are of an earlier time that this was done.
  const overwritten = Object.entries(envOf(wanted)).find(([name, value]) => (envOf(before)[name] ?? value) !== value);
  if (helper === undefined && overwritten !== undefined) throw inTheWay(`env.${overwritten[0]}`);
  const expected = { ...before, ...wanted, env: { ...envOf(before), ...envOf(wanted) } };
  if (isDeepStrictEqual(before, expected)) return { text, change: 'none' };
  let edited = text.trim() === '' ? '{}\n' : text;
  edited = setMember(edited, ['apiKeyHelper'], wanted['apiKeyHelper']);
  if (before['env'] === undefined) edited = setMember(edited, ['env'], envOf(wanted));
  else for (const [name, value] of Object.entries(envOf(wanted))) edited = setMember(edited, ['env', name], value);
  return { text: checked(edited, expected, PLACE), change: helper === undefined ? 'added' : 'updated' };
}

/** Takes it out again, where it is ours; a model too, where it is one of the `roles` that only mean something here. */
export function removeGateway(text: string, origin: string, roles: readonly string[] = []): Edited {
  const before = parse(text, PLACE);
  const env = envOf(before);
  if (env['ANTHROPIC_BASE_URL'] !== origin || !isOurHelper(before['apiKeyHelper'])) return { text, change: 'none' };
  const { apiKeyHelper: _helper, ...rest } = before;
  const isOurModel = roles.some((role) => role === env['ANTHROPIC_MODEL']);
  const ours = ['ANTHROPIC_BASE_URL', ...(isOurModel ? ['ANTHROPIC_MODEL'] : [])];
  const others = Object.fromEntries(Object.entries(env).filter(([name]) => !ours.includes(name)));
  let expected: Members = { ...rest, env: others };
  let edited = removeMember(text, ['apiKeyHelper']);
  for (const name of ours) edited = removeMember(edited, ['env', name]);
  if (isBare(edited, ['env'])) {
    edited = removeMember(edited, ['env']);
    const { env: _env, ...bare } = expected;
    expected = bare;
  }
  return { text: checked(edited, expected, PLACE), change: 'removed' };
}

function inTheWay(what: string): SeedError {
  return new SeedError('conflict', `The settings have an ${what} of their own.`, {
    hint: 'Nothing was written. Take it out, or put the printed settings in by hand.',
  });
}
