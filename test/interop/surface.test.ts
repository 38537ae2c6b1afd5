/** What a client is shown of the tools, and what it costs the model that reads it. */
import { generateKeyPairSync } from 'node:crypto';
import type { JsonSchemaType, Tool } from '@modelcontextprotocol/client';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/client/validators/ajv';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Scope } from '../../src/substrate/identity/scopes.ts';
import { SCOPES } from '../../src/substrate/identity/scopes.ts';
import { TOOLS } from '../support/tools.ts';
import { rawPublicKey } from '../../src/substrate/identity/keys.ts';
import { startProviderStub } from '../support/provider-stub.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { TestDaemon } from './daemon.ts';
import { startDaemon } from './daemon.ts';

/** Estimated as four bytes each. */
const TOKENS_MAX = { daily: 5_000, full: 10_000 } as const;
/** What hosts allow for a name with their own prefix before it, such as `mcp__sovereign-seed__`. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const PREFIXES = ['mcp__sovereign-seed__', 'mcp_sovereign-seed_', 'sovereign-seed-', 'sovereign_seed__'];
const DESCRIPTION_BYTES_MAX = 2_048;

const EVERY_SCOPE = [
  ...(Object.keys(SCOPES) as Scope[]),
  'memory.read:shared',
  'memory.write:shared',
] satisfies Scope[];

let folder: Scratch;
let daemon: TestDaemon;
const clients: Client[] = [];

beforeAll(async () => {
  folder = scratch();
  daemon = await startDaemon(folder.at('home'));
});

afterAll(async () => {
  for (const client of clients) await client.close();
  await daemon?.[Symbol.asyncDispose]();
  folder?.[Symbol.dispose]();
});

async function arrive(name: string, scopes: readonly Scope[], tools: 'daily' | 'full'): Promise<Client> {
  const { key } = await daemon.issueKey(name, scopes, { tools });
  const client = new Client({ name: 'surface', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(daemon.url), { requestInit }));
  clients.push(client);
  return client;
}

async function shown(client: Client): Promise<readonly Tool[]> {
  return (await client.listTools()).tools;
}

function tokens(tools: readonly Tool[]): number {
  return Math.ceil(Buffer.byteLength(JSON.stringify(tools)) / 4);
}

describe('the list', () => {
  test('daily and full stay within what a model can spare, and keep their order', async () => {
    const daily = await shown(await arrive('daily', EVERY_SCOPE, 'daily'));
    const full = await shown(await arrive('full', EVERY_SCOPE, 'full'));
    expect(tokens(daily)).toBeLessThanOrEqual(TOKENS_MAX.daily);
    expect(tokens(full)).toBeLessThanOrEqual(TOKENS_MAX.full);
    const inOrder = (surfaces: readonly string[]): string[] =>
      TOOLS.filter(({ surface }) => surfaces.includes(surface)).map(({ name }) => name);
    expect(daily.map(({ name }) => name)).toEqual(inOrder(['daily']));
    expect(full.map(({ name }) => name)).toEqual(inOrder(['daily', 'full']));
  });

  test('shows nobody a tool that it may not call', async () => {
    const free = TOOLS.filter(({ surface, scope }) => surface !== 'owner' && scope === null).map(({ name }) => name);
    for (const scope of EVERY_SCOPE) {
      const names = (await shown(await arrive(`only-${scope.replace(':', '-')}`, [scope], 'full'))).map(
        ({ name }) => name,
      );
      // One of a kind of scopes, such as memory.read:SPACE, shows the tools of that kind.
      const kind = scope.replace(/:.*/, ':SPACE');
      const own = TOOLS.filter((tool) => tool.surface !== 'owner' && [scope, kind].includes(tool.scope ?? '')).map(
        ({ name }) => name,
      );
      expect(names.toSorted()).toEqual([...free, ...own].toSorted());
    }
  });

  test('names, descriptions and annotations are what hosts can use', async () => {
    for (const { name, title, description = '', annotations } of await shown(
      await arrive('reader', EVERY_SCOPE, 'full'),
    )) {
      for (const prefix of PREFIXES) expect(`${prefix}${name}`).toMatch(NAME);
      expect(title).toBeTruthy();
      expect(description).toMatch(/^Use when /);
      expect(Buffer.byteLength(description)).toBeLessThanOrEqual(DESCRIPTION_BYTES_MAX);
      const known = TOOLS.find((tool) => tool.name === name);
      expect(annotations).toMatchObject({ readOnlyHint: known?.access === 'read', openWorldHint: false });
      // Of a tool that only reads they would say nothing (MCP, "ToolAnnotations").
      expect(annotations?.destructiveHint).toBe(
        known?.access === 'read' ? undefined : (known?.annotations?.destructive ?? false),
      );
      expect(annotations?.idempotentHint ?? false).toBe(
        known?.access === 'write' && (known.annotations?.idempotent ?? false),
      );
    }
  });
});

/** An input that each tool takes, in an order in which they work. */
const HAPPY: Readonly<Record<string, (before: Readonly<Record<string, Record<string, unknown>>>) => object>> = {
  seed_start: () => ({ topic: 'trying every tool' }),
  seed_status: () => ({}),
  mind_status: () => ({}),
  mind_wake: () => ({}),
  receipt_note: () => ({ text: 'on record', action: 'note.claim' }),
  receipt_get: ({ receipt_note: note }) => ({ seq: note?.['receipt'] }),
  receipt_list: () => ({ limit: 2, order: 'oldest' }),
  receipt_prove: () => ({ seq: 0 }),
  receipt_verify: ({ receipt_prove: proven }) => ({ proof: proven?.['proof'] }),
  // It writes to itself, which a scope of its own allows.
  bus_follow: () => ({ topic: 'surface' }),
  bus_send: () => ({ to: 'happy', data: { ok: true } }),
  bus_receive: () => ({ limit: 1 }),
  bus_ack: ({ bus_receive: got }) => ({ ids: ((got?.['messages'] ?? []) as { id: string }[]).map(({ id }) => id) }),
  bus_history: () => ({}),
  bus_peers: () => ({}),
  task_update: () => ({ do: 'add', title: 'try every tool', acceptance: ['each was tried'], priority: 1 }),
  coherence_read: () => ({ history: true }),
  task_list: ({ task_update: added }) => ({ id: added?.['id'] }),
  memory_write: () => ({ space: 'shared', text: 'every tool was tried' }),
  memory_search: () => ({ query: 'which tool was tried?', neighbours: 1 }),
  memory_get: ({ memory_write: written }) => ({ id: written?.['id'] }),
  memory_forget: ({ memory_write: written }) => ({ id: written?.['id'] }),
  membrane_whoami: () => ({}),
  membrane_register: () => ({ name: 'surface-helper', public_key: newPublicKey(), scopes: ['seed.status'] }),
  membrane_list: () => ({}),
  membrane_request: () => ({ scopes: ['seed.status'], reason: 'to see what an answer looks like' }),
  route_usage: () => ({ period: 'day' }),
  route_resolve: () => ({ role: 'worker', input_bytes: 1_000, max_output_tokens: 100 }),
  route_complete: () => ({ role: 'worker', messages: [{ role: 'user', content: 'Say hello.' }] }),
  route_result: ({ route_complete: call }) => ({ id: call?.['id'] }),
  route_cancel: ({ route_complete: call }) => ({ id: call?.['id'] }),
  route_trace: ({ route_complete: call }) => ({ seq: call?.['receipt'] }),
  route_enqueue: () => ({ role: 'synthesizer', messages: [{ role: 'user', content: 'Think.' }] }),
  session_open: () => ({ goal: 'to try every tool' }),
  session_checkpoint: ({ session_open: open }) => ({ session_id: open?.['session_id'], next: 'go on' }),
  session_append: ({ session_open: open }) => ({
    session_id: open?.['session_id'],
    messages: [{ role: 'user', content: 'Say hello.' }],
  }),
  session_step: ({ session_open: open }) => ({ session_id: open?.['session_id'], role: 'worker' }),
  session_get: ({ session_open: open }) => ({ session_id: open?.['session_id'] }),
  handoff_offer: ({ session_open: open }) => ({ session_id: open?.['session_id'] }),
  handoff_status: () => ({}),
  handoff_withdraw: ({ handoff_offer: offer }) => ({ handoff: offer?.['handoff'] }),
  handoff_accept: ({ offered_by_owner: offer }) => ({ token: offer?.['token'] }),
  session_close: ({ session_open: open }) => ({ session_id: open?.['session_id'] }),
  membrane_revoke: () => ({ key: 'surface-helper' }),
};

/** A model that answers on demand, and one that waits for the drain. */
const policyFor = (url: string): string => `
version: 1
targets: { here: { provider: nvidia, base_url: "${url}" } }
roles:
  worker: { dispatch: any, max_output_tokens: 64, candidates: [ { target: here, model: m, tier: 2 } ] }
  synthesizer: { dispatch: cron, max_output_tokens: 64, candidates: [ { target: here, model: big, tier: 1 } ] }
ceilings: [ { scope: seed, window: day, usd: "1.00" } ]
prices:
  - { target: here, model: m, input_usd_per_mtok: "1", output_usd_per_mtok: "1" }
  - { target: here, model: big, input_usd_per_mtok: "1", output_usd_per_mtok: "1" }
`;

function newPublicKey(): string {
  return Buffer.from(rawPublicKey(generateKeyPairSync('ed25519').publicKey)).toString('base64');
}

describe('schemas', () => {
  // The SDK's own, which takes a schema that names no dialect for one of 2020-12.
  const validator = new AjvJsonSchemaValidator();
  const compile = (schema: unknown) => validator.getValidator<unknown>(schema as JsonSchemaType);

  test('every tool has both, and they are JSON Schema 2020-12', async () => {
    for (const { inputSchema, outputSchema } of await shown(await arrive('schemas', EVERY_SCOPE, 'full'))) {
      expect(inputSchema['type']).toBe('object');
      expect(outputSchema?.['type']).toBe('object');
      compile(inputSchema);
      compile(outputSchema);
    }
    // The control: a schema that is none does not pass.
    expect(() => compile({ type: 'object', properties: { a: { type: 'txt' } } })).toThrow('type');
    expect(() => compile({ type: 'object', dependentRequired: { a: 'b' } })).toThrow();
  });

  test('what each tool takes and answers is what it says', async () => {
    await using provider = await startProviderStub();
    await daemon.owner('policy_apply', { document: policyFor(provider.baseUrl('nvidia')) });
    const client = await arrive('happy', [...EVERY_SCOPE, 'bus.send:happy', 'bus.receive:topic:surface'], 'full');
    const tools = new Map((await shown(client)).map((tool) => [tool.name, tool]));
    expect(Object.keys(HAPPY).toSorted()).toEqual([...tools.keys()].toSorted());
    const { session_id } = (await daemon.owner('session_open', { goal: 'to be handed over' })) as {
      session_id: string;
    };
    const offered = (await daemon.owner('handoff_offer', { session_id })) as Record<string, unknown>;
    const answers: Record<string, Record<string, unknown>> = { offered_by_owner: offered };
    for (const [name, inputFor] of Object.entries(HAPPY)) {
      const { inputSchema, outputSchema } = tools.get(name) ?? {};
      const input = inputFor(answers) as Record<string, unknown>;
      expect(compile(inputSchema)(input)).toMatchObject({ valid: true });
      const { isError, structuredContent, content } = await client.callTool({ name, arguments: input });
      expect({ name, isError, content }).toMatchObject({ name, isError: undefined });
      expect({ name, ...compile(outputSchema)(structuredContent) }).toMatchObject({ name, valid: true });
      answers[name] = structuredContent as Record<string, unknown>;
    }
  });
});
