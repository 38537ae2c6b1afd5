/** A seed with its gateway, over the provider stub, and the official clients of both APIs. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import type { ProviderName } from '../../../src/substrate/policy/model.ts';
import type { ProviderStub } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import { testSources } from '../../support/sources.ts';
import { applyPolicy } from '../../mind/router/rig.ts';
import type { IssuedKey, Rig } from '../rig.ts';
import { ask, asOwner, issue, openRig } from '../rig.ts';

/** What a client of the gateway needs, sessions included. */
export const CLIENT_SCOPES = ['route.complete', 'session.use', 'handoff.offer'];

/** A role `worker` of one target, or of two, each at $1 in and $2 out for a million tokens. */
export function policyOver(
  stub: Pick<ProviderStub, 'baseUrl'>,
  first: ProviderName,
  {
    firstUrl = stub.baseUrl(first),
    second = null,
    usd = '1.00',
    patienceMs = 2_000,
  }: { firstUrl?: string; second?: ProviderName | null; usd?: string; patienceMs?: number } = {},
): string {
  const targets = [
    `  first: { provider: ${first}, base_url: "${firstUrl}" }`,
    ...(second === null ? [] : [`  second: { provider: ${second}, base_url: "${stub.baseUrl(second)}" }`]),
  ];
  const names = second === null ? ['first'] : ['first', 'second'];
  return `
version: 1
targets:
${targets.join('\n')}
roles:
  worker:
    dispatch: any
    max_output_tokens: 500
    timeouts_ms: { first_token: ${patienceMs}, idle: ${patienceMs}, total: 20000 }
    candidates:
${names.map((name) => `      - { target: ${name}, model: m, tier: 2 }`).join('\n')}
  thinker:
    dispatch: cron
    max_output_tokens: 500
    candidates: [ { target: first, model: big, tier: 1 } ]
ceilings:
  - { scope: seed, window: day, usd: "${usd}" }
prices:
${names.map((name) => `  - { target: ${name}, model: m, input_usd_per_mtok: "1", output_usd_per_mtok: "2" }`).join('\n')}
  - { target: first, model: big, input_usd_per_mtok: "10", output_usd_per_mtok: "20" }
`;
}

export interface GatewayRig extends Rig {
  readonly client: IssuedKey;
  /** Where the API is, without its `/v1`. */
  readonly origin: string;
}

/** Opens a seed of its own with a policy and a key for a client. */
export async function openGateway(dir: Scratch, policy: string, name = 'home'): Promise<GatewayRig> {
  const home = dir.at(name);
  const rig = await openRig(home, { sources: testSources(home) });
  await applyPolicy(rig.substrate, policy);
  const client = await issue(rig, 'client', CLIENT_SCOPES);
  return { ...rig, client, origin: `http://127.0.0.1:${rig.port}` };
}

/** The same in a folder that goes with it. */
export async function openAlone(policy: string): Promise<{ rig: GatewayRig; end: () => Promise<void> }> {
  const dir = scratch();
  const rig = await openGateway(dir, policy);
  const end = async (): Promise<void> => {
    await rig.close();
    dir[Symbol.dispose]();
  };
  return { rig, end };
}

/** A provider that does as it is told, and a gateway over it, for all tests of a file. */
export async function openOverStub(
  provider: ProviderName,
): Promise<{ stub: ProviderStub; rig: GatewayRig; end: () => Promise<void> }> {
  const stub = await startProviderStub();
  const { rig, end } = await openAlone(policyOver(stub, provider));
  const endAll = async (): Promise<void> => {
    await end();
    await stub.close();
  };
  return { stub, rig, end: endAll };
}

/** A figure of `/metrics`, by its name and labels as they stand there; 0 where it has none yet. */
export async function figure(rig: GatewayRig, name: string): Promise<number> {
  const { key, id } = await issue(rig, 'prometheus', ['metrics.read']);
  const { text } = await ask(rig, { path: '/metrics', headers: { authorization: `Bearer ${key}` } });
  await asOwner(rig, 'key_revoke', { key: id });
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}

export interface ClientOptions {
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly maxRetries?: number;
}

export function openaiOf({ origin, client }: GatewayRig, options: ClientOptions = {}): OpenAI {
  const { key = client.key, headers = {}, maxRetries = 0 } = options;
  return new OpenAI({ baseURL: `${origin}/v1`, apiKey: key, maxRetries, defaultHeaders: headers });
}

export function anthropicOf({ origin, client }: GatewayRig, options: ClientOptions = {}): Anthropic {
  const { key = client.key, headers = {}, maxRetries = 0 } = options;
  return new Anthropic({ baseURL: origin, apiKey: key, maxRetries, defaultHeaders: headers });
}
