/** Credentials and targets as the owner handles them: what is kept, what may go where, and what a trial says. */
import { execFileSync } from 'node:child_process';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Rig, RigOptions } from '../doors/rig.ts';
import { askOwner, asOwner, listenAnywhere, openRig, receipts } from '../doors/rig.ts';
import { until } from '../support/child.ts';
import type { ProviderStub } from '../support/provider-stub.ts';
import { startProviderStub } from '../support/provider-stub.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

const CANARY = 'sk-canary-3f9a77c1e2d84b06';

let folder: Scratch;
let rig: Rig;
let stub: ProviderStub;
const servers: Pick<Server, 'close' | 'closeAllConnections'>[] = [];

async function open(options: RigOptions = {}): Promise<void> {
  rig = await openRig(folder.at('home'), options);
}

beforeEach(async () => {
  folder = scratch();
  stub = await startProviderStub();
  await open();
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rig.close();
  await stub.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  folder[Symbol.dispose]();
});

interface Tested {
  readonly ok: boolean;
  readonly code: string;
  readonly what: string;
  readonly hint: string;
  readonly model: string | null;
  readonly receipt: number | null;
}

function originOf(url: string): string {
  return new URL(url).origin;
}

/** A policy with one role for each target, priced by the owner, under one ceiling. */
function policyOf(targets: Record<string, object>, candidates: readonly object[], ceiling = '1.00'): string {
  const prices = candidates.map((candidate) => {
    const { target, model } = candidate as { target: string; model: string };
    return { target, model, input_usd_per_mtok: '1.00', output_usd_per_mtok: '2.00' };
  });
  const dispatch = candidates.some((candidate) => (candidate as { tier: number }).tier === 1) ? 'cron' : 'any';
  const roles = candidates.length === 0 ? {} : { worker: { dispatch, max_output_tokens: 256, candidates } };
  const ceilings = [{ scope: 'seed', window: 'day', usd: ceiling }];
  return JSON.stringify({ version: 1, targets, roles, ceilings, prices });
}

/** The target `there`, with the canary bound to it, and one model. */
async function withTarget({ baseUrl = stub.baseUrl('nvidia'), tier = 2, ceiling = '1.00' } = {}): Promise<void> {
  await asOwner(rig, 'credential_set', { name: 'there', origin: originOf(stub.baseUrl('nvidia')), secret: CANARY });
  const targets = { there: { provider: 'nvidia', base_url: baseUrl, credential: 'there' } };
  await asOwner(rig, 'policy_apply', { document: policyOf(targets, [{ target: 'there', model: 'm', tier }], ceiling) });
}

function trial(name = 'there'): Promise<Tested> {
  return asOwner<Tested>(rig, 'target_test', { name });
}

/** All that the home holds but the credentials, as text: database, log, checkpoint. */
function everythingKept(): string {
  const names = readdirSync(rig.home, { recursive: true, encoding: 'utf8' }).filter((name) => {
    return !name.startsWith('credentials') && statSync(folder.at('home', name)).isFile();
  });
  return names.map((name) => readFileSync(folder.at('home', name), 'latin1')).join('\n');
}

describe('credentials', () => {
  test('[LOCK-MEMBRANE-1] kept, listed and removed, each on record with where it may go and never with what it is', async () => {
    const origin = 'https://api.example.com';
    const set = await asOwner(rig, 'credential_set', { name: 'one', origin: `${origin}/`, secret: CANARY });
    expect(set).toMatchObject({ name: 'one', origin, source: 'file', replaced: false });
    await asOwner(rig, 'credential_set', { name: 'one', origin: 'https://other.example.com', secret: CANARY });
    await asOwner(rig, 'credential_set', { name: 'two', origin, variable: 'NVIDIA_API_KEY' });
    const listed = await asOwner(rig, 'credential_list');
    expect(listed).toEqual({
      credentials: [
        {
          name: 'one',
          origin: 'https://other.example.com',
          source: 'file',
          ready: true,
          problem: null,
          targets: [],
          last_used: null,
        },
        { name: 'two', origin, source: 'NVIDIA_API_KEY', ready: false, problem: null, targets: [], last_used: null },
      ],
    });
    await asOwner(rig, 'credential_remove', { name: 'one' });
    expect((await askOwner(rig, 'credential_remove', { name: 'one' })).error).toMatchObject({ code: 'not_found' });
    const all = await receipts(rig);
    const about = all.filter(({ subject }) => subject.type === 'credential');
    expect(about.map(({ action, outcome, subject, detail }) => [action, outcome, subject.id, detail])).toEqual([
      ['credential.set', 'intent', 'one', { origin, source: 'file', replaced: 'no' }],
      ['credential.set', 'ok', 'one', {}],
      ['credential.set', 'intent', 'one', { origin: 'https://other.example.com', source: 'file', replaced: 'yes' }],
      ['credential.set', 'ok', 'one', {}],
      ['credential.set', 'intent', 'two', { origin, source: 'NVIDIA_API_KEY', replaced: 'no' }],
      ['credential.set', 'ok', 'two', {}],
      ['credential.remove', 'intent', 'one', {}],
      ['credential.remove', 'ok', 'one', {}],
    ]);
    expect(JSON.stringify([all, listed])).not.toContain(CANARY);
    expect(everythingKept()).not.toContain(CANARY);
  });

  test('refused for what is no name, secret or origin, and the secret is in no error', async () => {
    const wrong = [
      { name: '../keys/log.pem', secret: CANARY },
      { name: 'one', secret: `${CANARY}\nX-Other: 1` },
      { name: 'one', secret: `${CANARY} ` },
      { name: 'one', secret: '' },
      { name: 'one', secret: CANARY, variable: 'NVIDIA_API_KEY' },
      { name: 'one', variable: 'PATH' },
      { name: 'one' },
      { name: 'one', secret: [CANARY] },
      { name: 'one', secret: CANARY, origin: 'http://example.com' },
      { name: 'one', secret: CANARY, origin: 'https://169.254.169.254' },
      { name: 'one', secret: CANARY, origin: `https://${CANARY}@example.com` },
    ];
    for (const input of wrong) {
      const { error, result } = await askOwner(rig, 'credential_set', { origin: 'https://api.example.com', ...input });
      expect([input, error?.code, result]).toEqual([input, 'invalid_input', undefined]);
      expect(inspect(error, { depth: 9 })).not.toContain(CANARY);
    }
    expect(rig.egress.credentials.names()).toEqual([]);
    expect(everythingKept()).not.toContain(CANARY);
  });

  test('are the owner’s acts, which ask for the passphrase', async () => {
    await rig.close();
    folder[Symbol.dispose]();
    folder = scratch();
    await open({ passphrase: 'a long enough phrase' });
    const keep = { name: 'one', origin: 'https://api.example.com', secret: CANARY };
    for (const [tool, input] of [
      ['credential_set', keep],
      ['credential_remove', { name: 'one' }],
      [
        'target_add',
        { name: 'local-ollama', provider: 'local-ollama', base_url: 'http://127.0.0.1:9', credential: null },
      ],
      ['target_detect', {}],
    ] as const) {
      expect((await askOwner(rig, tool, input)).error).toMatchObject({ code: 'passphrase_required' });
    }
    expect(rig.egress.credentials.names()).toEqual([]);
    await asOwner(rig, 'credential_set', keep, 'a long enough phrase');
    expect(rig.egress.credentials.names()).toEqual(['one']);
  });
});

describe('a trial', () => {
  test('that works: one tiny call, reserved and on record, with the key in the header alone', async () => {
    await withTarget();
    const tested = await trial();
    expect(tested).toMatchObject({ ok: true, code: 'ok', model: 'm', what: 'there answers: m.' });
    expect(stub.requests).toHaveLength(1);
    expect(stub.requests[0]?.headers.authorization).toBe(`Bearer ${CANARY}`);
    expect(JSON.parse(stub.requests[0]!.body)).toMatchObject({ model: 'm', max_tokens: 64 });
    const [intent, ended] = (await receipts(rig)).filter(({ action }) => action === 'route.attempt');
    expect([intent?.outcome, ended?.outcome, ended?.of]).toEqual(['intent', 'ok', intent?.seq]);
    const { credentials } = await asOwner<{ credentials: { last_used: string }[] }>(rig, 'credential_list');
    expect(credentials[0]?.last_used).toBe(new Date(rig.sources.time).toISOString());
    expect(everythingKept()).not.toContain(CANARY);
  });

  test.each([
    { status: 401, code: 'unauthorized', hint: 'seed credential set there --origin' },
    { status: 403, code: 'unauthorized', hint: 'seed credential set there --origin' },
    { status: 404, code: 'rejected', hint: 'Name a model that the provider has' },
    { status: 429, code: 'rate_limited', hint: 'The key works' },
    { status: 529, code: 'overloaded', hint: 'Try again later' },
    { status: 500, code: 'server_error', hint: 'The failure is the provider’s' },
    { status: 307, code: 'unreachable', hint: 'the address that it redirects to' },
  ])('that is answered with $status says what is wrong, and how to mend it', async ({ status, code, hint }) => {
    await withTarget();
    stub.next({ do: 'status', status, headers: { location: 'https://elsewhere.example.com' }, body: CANARY });
    const tested = await trial();
    expect(tested).toMatchObject({ ok: false, code, hint: expect.stringContaining(hint) as unknown });
    expect(stub.requests).toHaveLength(1);
    expect(JSON.stringify(tested)).not.toContain(CANARY);
    expect(everythingKept()).not.toContain(CANARY);
  });

  test('that reaches nobody says who does not answer', async () => {
    const server = createServer();
    const port = await listenAnywhere(server);
    await new Promise((resolve) => server.close(resolve));
    const targets = {
      gone: { provider: 'nvidia', base_url: `http://127.0.0.1:${port}/v1` },
      ollama: { provider: 'local-ollama', base_url: `http://127.0.0.1:${port}` },
    };
    const candidates = [
      { target: 'gone', model: 'm', tier: 2 },
      { target: 'ollama', model: 'm', tier: 3 },
    ];
    await asOwner(rig, 'policy_apply', { document: policyOf(targets, candidates) });
    expect(await trial('gone')).toMatchObject({
      ok: false,
      code: 'unreachable',
      hint: `Nothing listens at 127.0.0.1:${port}. Is the base_url right?`,
    });
    expect(await trial('ollama')).toMatchObject({
      ok: false,
      hint: expect.stringContaining('`ollama serve`') as unknown,
    });
  });

  test('of a target whose certificate is not believed says so', async () => {
    const [key, cert] = [folder.at('key.pem'), folder.at('cert.pem')];
    const subject = ['-subj', '/CN=localhost', '-days', '1', '-nodes', '-keyout', key, '-out', cert];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', ...subject], { stdio: 'ignore' });
    let requests = 0;
    const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, () => {
      requests++;
    });
    servers.push(server);
    const port = await listenAnywhere(server);
    const targets = { secret: { provider: 'nvidia', base_url: `https://127.0.0.1:${port}/v1` } };
    await asOwner(rig, 'policy_apply', { document: policyOf(targets, [{ target: 'secret', model: 'm', tier: 2 }]) });
    // Nor by a process that was told to believe every certificate.
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    expect(await trial('secret')).toMatchObject({
      ok: false,
      code: 'unreachable',
      hint: expect.stringContaining('its certificate is not believed') as unknown,
    });
    expect(requests).toBe(0);
  });

  test('[LOCK-MEMBRANE-1] is refused, and nothing is sent, where a row points the credential at another origin', async () => {
    await withTarget();
    const other = await startProviderStub();
    try {
      for (const elsewhere of [other.baseUrl('nvidia'), stub.baseUrl('nvidia').replace('127.0.0.1', 'localhost')]) {
        const targets = { there: { provider: 'nvidia', base_url: elsewhere, credential: 'there' } };
        await asOwner(rig, 'policy_apply', { document: policyOf(targets, [{ target: 'there', model: 'm', tier: 2 }]) });
        expect(await trial()).toMatchObject({
          ok: false,
          code: 'egress_refused',
          what: expect.stringContaining('goes to') as unknown,
        });
      }
      expect([stub.requests, other.requests]).toEqual([[], []]);
    } finally {
      await other.close();
    }
    const refused = (await receipts(rig)).filter(({ action }) => action === 'target.test');
    expect(refused.map(({ outcome, code }) => [outcome, code])).toEqual([
      ['refused', 'egress_refused'],
      ['refused', 'egress_refused'],
    ]);
  });

  test('never calls tier 1, nor what has no price or no model, nor over the ceiling', async () => {
    await withTarget({ tier: 1 });
    expect(await trial()).toMatchObject({
      ok: false,
      code: 'no_candidate',
      what: expect.stringContaining('tier-1') as unknown,
    });
    await withTarget({ ceiling: '0.000001' });
    expect(await trial()).toMatchObject({
      ok: false,
      code: 'over_ceiling',
      hint: expect.stringContaining('raise the ceiling') as unknown,
    });
    const targets = { there: { provider: 'nvidia', base_url: stub.baseUrl('nvidia'), credential: 'there' } };
    await asOwner(rig, 'policy_apply', { document: policyOf(targets, []) });
    expect(await trial()).toMatchObject({
      ok: false,
      code: 'no_candidate',
      what: 'No role of the policy names a model at there.',
    });
    const unpriced = JSON.parse(policyOf(targets, [{ target: 'there', model: 'm', tier: 2 }])) as { prices: object[] };
    unpriced.prices = [];
    await asOwner(rig, 'policy_apply', { document: JSON.stringify(unpriced) });
    expect(await trial()).toMatchObject({
      ok: false,
      code: 'no_candidate',
      what: expect.stringContaining('Nobody knows a price of m') as unknown,
    });
    expect((await askOwner(rig, 'target_test', { name: 'nowhere' })).error).toMatchObject({ code: 'not_found' });
    expect(stub.requests).toEqual([]);
  });

  test('while the seed is halted sends nothing', async () => {
    await withTarget();
    await asOwner(rig, 'seed_halt');
    expect(await trial()).toMatchObject({ ok: false, code: 'halted' });
    expect(stub.requests).toEqual([]);
    await asOwner(rig, 'seed_resume');
    expect(await trial()).toMatchObject({ ok: true });
  });

  test('under way when the seed is halted is ended, and settled at its bound', async () => {
    await withTarget();
    stub.next({ do: 'stall', after: 1 });
    const tried = trial();
    await until(() => stub.requests.length === 1, 'the trial to be sent');
    await asOwner(rig, 'seed_halt');
    await stub.hungUp(1);
    expect(await tried).toMatchObject({ ok: false });
    const ended = (await receipts(rig)).filter(
      ({ action, outcome }) => action === 'route.attempt' && outcome !== 'intent',
    );
    expect(ended).toHaveLength(1);
    expect(ended[0]?.detail['cost_micro_usd']).toBeGreaterThan(0);
  });

  test('of a credential that is gone says which', async () => {
    await withTarget();
    await asOwner(rig, 'credential_remove', { name: 'there' });
    expect(await trial()).toMatchObject({
      ok: false,
      code: 'credential_unusable',
      what: 'There is no credential there.',
    });
    const { targets } = await asOwner<{ targets: { problem: string }[] }>(rig, 'target_list');
    expect(targets[0]?.problem).toBe('There is no credential there.');
    expect(stub.requests).toEqual([]);
  });
});

interface Detected {
  readonly found: readonly { target: string; variable: string | null; models: readonly string[] }[];
  readonly roles: readonly string[];
  readonly unused: readonly string[];
  readonly version: number | null;
}

/** Something that answers as an Ollama with these models; resolves to its address. */
async function ollama(answer: unknown): Promise<{ readonly url: string; readonly asked: () => number }> {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    if (answer === undefined) return;
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  });
  servers.push(server);
  const port = await listenAnywhere(server);
  return { url: `http://127.0.0.1:${port}`, asked: () => asked };
}

const MODELS = {
  models: [
    { name: 'llama3.1:8b', details: { family: 'llama' } },
    { name: 'nomic-embed-text:latest', details: { family: 'nomic-bert' } },
    { name: 'large:cloud', remote_host: 'https://ollama.com', remote_model: 'large' },
    { name: 'qwen3:4b', details: null },
  ],
};

async function again(options: RigOptions): Promise<void> {
  await rig.close();
  folder[Symbol.dispose]();
  folder = scratch();
  await open(options);
}

describe('the first run', () => {
  test('with nothing there leaves the policy empty and nothing on record', async () => {
    const nobody = await ollama('not an Ollama');
    expect(await asOwner<Detected>(rig, 'target_detect', { ollama: nobody.url })).toEqual({
      found: [],
      roles: [],
      unused: [],
      version: null,
    });
    expect((await receipts(rig)).map(({ action }) => action)).toEqual(['seed.init']);
  });

  test('finds an Ollama with its models, and makes a policy of what can run', async () => {
    const { url } = await ollama(MODELS);
    const detected = await asOwner<Detected>(rig, 'target_detect', { ollama: url });
    expect(detected).toEqual({
      found: [{ target: 'local-ollama', variable: null, models: ['llama3.1:8b', 'qwen3:4b'] }],
      roles: ['worker', 'digestor'],
      unused: [],
      version: 1,
    });
    const { targets } = await asOwner<{ targets: { base_url: string; problem: string | null }[] }>(rig, 'target_list');
    expect(targets).toMatchObject([{ name: 'local-ollama', base_url: url, credential: null, problem: null }]);
    const { document } = await asOwner<{ document: string }>(rig, 'policy_show');
    expect(document).toContain('usd: "5.00"');
    // It is for a new home: what the owner has decided since is left alone.
    expect(await asOwner<Detected>(rig, 'target_detect', { ollama: url })).toMatchObject({ found: [], version: null });
  });

  test('[LOCK-MEMBRANE-1] finds keys in the environment and binds their names, not the keys, each to one origin', async () => {
    await again({ secrets: { ANTHROPIC_API_KEY: CANARY, GOOGLE_API_KEY: CANARY, NVIDIA_API_KEY: CANARY } });
    const { url } = await ollama(undefined);
    const detected = await asOwner<Detected>(rig, 'target_detect', { ollama: url });
    expect(detected.found.map(({ target, variable }) => [target, variable])).toEqual([
      ['anthropic', 'ANTHROPIC_API_KEY'],
      ['gemini', 'GOOGLE_API_KEY'],
      ['nvidia', 'NVIDIA_API_KEY'],
    ]);
    expect(detected).toMatchObject({ unused: ['nvidia'], version: 1 });
    const { credentials } = rig.egress;
    expect(credentials.names().map((name) => credentials.facts(name))).toMatchObject([
      { name: 'anthropic', origin: 'https://api.anthropic.com', source: { variable: 'ANTHROPIC_API_KEY' } },
      { name: 'gemini', origin: 'https://generativelanguage.googleapis.com', source: { variable: 'GOOGLE_API_KEY' } },
      { name: 'nvidia', origin: 'https://integrate.api.nvidia.com', source: { variable: 'NVIDIA_API_KEY' } },
    ]);
    const bound = (await receipts(rig)).filter(({ action }) => action === 'credential.set');
    expect(bound.map(({ outcome }) => outcome)).toEqual(['intent', 'ok', 'intent', 'ok', 'intent', 'ok']);
    for (const name of credentials.names()) {
      expect(readFileSync(folder.at('home', 'credentials', name), 'utf8')).not.toContain(CANARY);
    }
    expect(everythingKept()).not.toContain(CANARY);
  });

  test('probes this machine alone', async () => {
    const refused = await asOwner<Detected>(rig, 'target_detect', { ollama: 'http://192.0.2.1:11434' });
    expect(refused).toMatchObject({ found: [], version: null });
  });
});

describe('a target is added', () => {
  test('with the roles and the ceiling of the starter; the next one at the end of those roles', async () => {
    const { url } = await ollama(MODELS);
    const local = { name: 'local-ollama', provider: 'local-ollama', base_url: url, credential: null };
    expect(await asOwner(rig, 'target_add', local)).toMatchObject({ version: 1, roles: ['digestor', 'worker'] });
    await asOwner(rig, 'credential_set', { name: 'anthropic', origin: 'https://api.anthropic.com', secret: CANARY });
    const claude = {
      name: 'anthropic',
      provider: 'anthropic',
      base_url: 'https://api.anthropic.com',
      credential: 'anthropic',
    };
    const added = await asOwner<{ changes: { kind: string; what: string }[] }>(rig, 'target_add', claude);
    expect(added).toMatchObject({ version: 2, roles: ['digestor', 'synthesizer', 'worker'] });
    // Nothing that the owner had decided is changed by it.
    expect(added.changes.filter(({ kind }) => kind !== 'added')).toEqual([]);
    const worker = await asOwner<{ candidates: { target: string }[] }>(rig, 'policy_explain', { role: 'worker' });
    expect(worker.candidates.map(({ target }) => target)).toEqual(['local-ollama', 'local-ollama', 'anthropic']);
    const { document } = await asOwner<{ document: string }>(rig, 'policy_show');
    expect(document.match(/scope: seed/g)).toHaveLength(1);
    expect(await asOwner(rig, 'target_add', claude)).toMatchObject({ version: 3, changes: [] });
  });

  test('only with a credential that is bound to where it answers', async () => {
    await asOwner(rig, 'credential_set', { name: 'one', origin: 'https://api.example.com', secret: CANARY });
    const add = (base_url: string, credential: string | null) =>
      askOwner(rig, 'target_add', { name: 'own', provider: 'nvidia', base_url, credential });
    expect((await add('https://api.example.com/v1', 'none')).error).toMatchObject({ code: 'credential_unusable' });
    expect((await add('https://other.example.com/v1', 'one')).error).toMatchObject({ code: 'egress_refused' });
    expect((await add('http://api.example.com/v1', 'one')).error).toMatchObject({ code: 'invalid_input' });
    expect((await add('https://169.254.169.254/v1', null)).error).toMatchObject({ code: 'invalid_input' });
    expect((await add('https://api.example.com/v1', '../one')).error).toMatchObject({ code: 'invalid_input' });
    expect((await asOwner<{ targets: object[] }>(rig, 'target_list')).targets).toEqual([]);
    expect((await add('https://api.example.com/v1', 'one')).result).toMatchObject({ version: 1, roles: [] });
  });
});
