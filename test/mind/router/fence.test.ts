/** Tier 1 through every tool, door, role and forged word: nothing but the owner's drain reaches it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import { consider } from '../../../src/mind/router/choose.ts';
import { PROVIDER_MODULES } from '../../../src/mind/router/providers/index.ts';
import type { Candidate, Routing } from '../../../src/substrate/policy/model.ts';
import { SCOPES } from '../../../src/substrate/identity/scopes.ts';
import type { Tool } from '../../../src/tools/define.ts';
import { TOOLS } from '../../support/tools.ts';
import type { AgentConnection, Rig } from '../../doors/rig.ts';
import { askOwner, asOwner, connectAgent, edit, issue, openRig, rpc } from '../../doors/rig.ts';
import type { ProviderStub } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import { asks } from './rig.ts';

/** Every role that one or two candidates of any tier make, for either dispatch: `any-21` is tier 2, then tier 1. */
const TIERS = [1, 2, 3] as const;
const ORDERS: readonly (readonly number[])[] = TIERS.flatMap((one) => [[one], ...TIERS.map((two) => [one, two])]);
const ROLES = (['any', 'cron'] as const).flatMap((dispatch) =>
  ORDERS.map((tiers) => ({ role: `${dispatch}-${tiers.join('')}`, dispatch, tiers })),
);
const SYNTHESIZER = 'synthesizer';

/** What somebody might say to be taken for the drain. */
const FORGED = {
  dispatch: 'cron',
  tier: 1,
  tiers: [1],
  cron: true,
  drain: true,
  confirm: true,
  owner: true,
  only: { target: 'first', model: 'tier-1-a' },
  target: 'first',
  model: 'tier-1-a',
  candidates: [{ target: 'first', model: 'tier-1-a', tier: 1 }],
  actor: { id: 'owner', kind: 'owner', grant: null },
  asker: { dispatch: { kind: 'cron' } },
  _meta: { dispatch: 'cron', confirm: true },
};

let folder: Scratch;
let rig: Rig;
let stub: ProviderStub;
let agent: AgentConnection;
let key: string;
/** Whether every model fails, so that a call goes on to the last candidate. */
let failing = false;

beforeAll(async () => {
  folder = scratch();
  stub = await startProviderStub(() => Promise.resolve(failing ? { do: 'status', status: 500 } : null));
  rig = await openRig(folder.at('home'));
  await asOwner(rig, 'policy_apply', { document: policyFile() });
  // What no file may say is written behind the seed's back.
  for (const { role, dispatch, tiers } of ROLES) {
    for (const [index, tier] of tiers.entries()) {
      const params = [role, dispatch, index + 1, ['first', 'second'][index] ?? '', modelOf(tier, index), tier];
      const columns = 'role, dispatch, position, target, model, tier';
      edit(rig.home, `INSERT INTO substrate_routing_config (${columns}) VALUES (?, ?, ?, ?, ?, ?)`, ...params);
    }
  }
  agent = await connectAgent(rig, 'drain', { dispatch: 'cron', tier: 1 });
  ({ key } = await issue(rig, 'cron', Object.keys(SCOPES)));
}, 60_000);

afterAll(async () => {
  agent?.close();
  await rig?.close();
  await stub?.close();
  folder?.[Symbol.dispose]();
});

function modelOf(tier: number, index: number): string {
  return `tier-${tier}-${'ab'[index]}`;
}

function policyFile(): string {
  const models = TIERS.flatMap((tier) => [0, 1].map((index) => modelOf(tier, index)));
  const prices = ['first', 'second'].flatMap((target) =>
    models.map(
      (model) => `  - { target: ${target}, model: ${model}, input_usd_per_mtok: "1", output_usd_per_mtok: "1" }`,
    ),
  );
  return `
version: 1
targets:
  first: { provider: anthropic, base_url: "${stub.baseUrl('anthropic')}" }
  second: { provider: nvidia, base_url: "${stub.baseUrl('nvidia')}" }
roles:
  plain: { dispatch: any, candidates: [{ target: first, model: tier-2-a, tier: 2 }] }
  ${SYNTHESIZER}: { dispatch: cron, candidates: [{ target: first, model: tier-1-a, tier: 1 }] }
prices:
${prices.join('\n')}
`;
}

/** The models that the provider was asked for since it was last looked at. */
let looked = 0;
function modelsAsked(): string[] {
  const fresh = stub.requests.slice(looked);
  looked = stub.requests.length;
  return fresh.map(({ body }) => (JSON.parse(body) as { model: string }).model);
}

const tierOne = (models: readonly string[]): string[] => models.filter((model) => model.startsWith('tier-1'));

type Door = (tool: string, input: object) => Promise<unknown>;

const DOORS: Readonly<Record<'owner' | 'agent' | 'http', Door>> = {
  owner: (tool, input) => askOwner(rig, tool, input),
  agent: (tool, input) => agent.rpc('tools/call', { name: tool, arguments: input, _meta: FORGED._meta }),
  http: (tool, input) => {
    const headers = { 'x-dispatch': 'cron', 'x-tier': '1', 'x-confirm': 'true' };
    return rpc(rig, key, {
      method: 'tools/call',
      params: { name: tool, arguments: input, _meta: FORGED._meta },
      headers,
    });
  },
};

type Schema = Readonly<Record<string, unknown>>;

/** An input that a schema takes, with the words that lead furthest where the name says what they are. */
function sampleOf(schema: Schema, name: string, role: string): unknown {
  const known: Readonly<Record<string, unknown>> = {
    role,
    messages: [{ role: 'user', content: 'Think hard.' }],
    name: 'first',
    model: 'tier-1-a',
    target: 'first',
    // Long enough where a model is asked, and nothing to wait for elsewhere.
    wait_ms: role === '' ? 0 : 20_000,
    labels: { dispatch: 'cron' },
    dispatch: 'cron',
  };
  if (name in known) return known[name];
  const either = schema['anyOf'] as readonly Schema[] | undefined;
  if (either?.[0] !== undefined) return sampleOf(either[0], name, role);
  if (schema['enum'] !== undefined) return (schema['enum'] as readonly unknown[]).at(-1);
  if (schema['const'] !== undefined) return schema['const'];
  if (schema['type'] === 'object') {
    const properties = (schema['properties'] ?? {}) as Readonly<Record<string, Schema>>;
    const required = new Set((schema['required'] ?? []) as readonly string[]);
    const wanted = Object.entries(properties).filter(([each]) => required.has(each) || each in known);
    return Object.fromEntries(wanted.map(([each, inner]) => [each, sampleOf(inner, each, role)]));
  }
  if (schema['type'] === 'array') return [sampleOf((schema['items'] ?? {}) as Schema, '', role)];
  if (schema['type'] === 'boolean') return true;
  return schema['type'] === 'string' ? 'cron' : (schema['minimum'] ?? 1);
}

function inputOf({ input }: Tool, role: string): object {
  return sampleOf(z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' }), '', role) as object;
}

const takesRole = ({ input }: Tool): boolean => input instanceof z.ZodObject && 'role' in input.shape;

/** What a call at the owner's door may have shut or changed is as it was, or nothing after it would prove anything. */
async function putRight(): Promise<void> {
  await asOwner(rig, 'seed_resume');
  await asOwner(rig, 'policy_apply', { document: policyFile() });
  const answer = await rig.call({
    tool: 'route_complete',
    input: { role: 'plain', messages: [{ role: 'user', content: 'Still there?' }] },
    actor: { id: 'somebody', kind: 'agent', grant: null, scopes: new Set(['route.complete']) },
  });
  expect(answer).toMatchObject({ status: 'complete', tier: 2 });
  expect(modelsAsked()).toEqual(['tier-2-a']);
}

const NAMES = ['owner', 'agent', 'http'] as const;

test.each(NAMES)(
  '[LOCK-RUNTIME-5] at the door %s no role reaches tier 1, in any order of tiers, not even when all else fails',
  async (door) => {
    const reached = new Map<string, Set<string>>();
    // One that it holds alone, so that a step without a name is a step of it.
    await DOORS[door]('session_open', { goal: 'to be taken for the drain' });
    for (const tool of TOOLS.filter(takesRole)) {
      for (const { role } of ROLES) {
        for (failing of [false, true]) {
          await DOORS[door](tool.name, inputOf(tool, role));
          const models = modelsAsked();
          expect([tool.name, role, tierOne(models)]).toEqual([tool.name, role, []]);
          for (const model of models) reached.set(tool.name, (reached.get(tool.name) ?? new Set()).add(model));
        }
      }
    }
    failing = false;
    // It is the tier that stops them: what has none of tier 1 was asked, to the last candidate.
    const others = new Set(['tier-2-a', 'tier-2-b', 'tier-3-a', 'tier-3-b']);
    expect(Object.fromEntries(reached)).toEqual({ route_complete: others, session_step: others });
  },
  60_000,
);

test.each(NAMES)(
  '[LOCK-RUNTIME-5] at the door %s no tool reaches tier 1, whatever is said',
  async (door) => {
    for (const tool of TOOLS) {
      if (door === 'owner' && tool.name === 'route_drain') continue;
      for (const forged of [{}, FORGED]) {
        await DOORS[door](tool.name, { ...inputOf(tool, takesRole(tool) ? SYNTHESIZER : ''), ...forged });
        expect([tool.name, tierOne(modelsAsked())]).toEqual([tool.name, []]);
      }
      await putRight();
    }
  },
  60_000,
);

test('[LOCK-RUNTIME-5] a routing that names tier 1 is fenced where a candidate is chosen, too', () => {
  const candidate: Candidate = {
    position: 1,
    target: { name: 'first', provider: 'anthropic', baseUrl: 'https://a.example', credential: null },
    model: 'tier-1-a',
    tier: 1,
    contextTokens: null,
    price: { input: 1, output: 1, cachedInput: 1, cacheWrite: 1, version: 'owner:1' },
  };
  const routing = (dispatch: 'any' | 'cron'): Routing => ({
    role: 'r',
    dispatch,
    maxOutputTokens: 10,
    minOutputTokens: 1,
    timeouts: { firstTokenMs: 1, idleMs: 1, totalMs: 1 },
    onCeiling: 'next',
    candidates: [candidate],
    policyVersion: '1',
  });
  const options = { request: asks('Hi'), provider: () => PROVIDER_MODULES.anthropic, benched: [] };
  expect(consider(candidate, { ...options, routing: routing('any') })).toMatchObject({ code: 'tier_fenced' });
  expect(consider(candidate, { ...options, routing: routing('cron') })).toMatchObject({ candidate });
});

test('[LOCK-RUNTIME-5] the control: the same work left for the drain is done by it at the owner’s door', async () => {
  const messages = [{ role: 'user', content: 'Think hard.' }];
  modelsAsked();
  const drained = await asOwner<{ calls: { status: string; tier: number }[] }>(rig, 'route_drain', { limit: 1_000 });
  // What was left there while the doors were tried, and now by name.
  expect(drained.calls.length).toBeGreaterThan(0);
  expect(tierOne(modelsAsked())).not.toEqual([]);
  const { id } = (await rig.call({
    tool: 'route_enqueue',
    input: { role: SYNTHESIZER, messages },
    actor: { id: 'somebody', kind: 'agent', grant: null, scopes: new Set(['route.enqueue']) },
  })) as { id: string };
  expect(tierOne(modelsAsked())).toEqual([]);
  const { calls } = await asOwner<{ calls: object[] }>(rig, 'route_drain');
  expect(calls).toMatchObject([{ id, status: 'complete', tier: 1 }]);
  expect(modelsAsked()).toEqual(['tier-1-a']);
});
