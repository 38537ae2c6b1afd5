/** A target's secret goes through calls that succeed and calls that fail in every way; afterwards it is found nowhere. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ProviderName } from '../../../src/substrate/policy/model.ts';
import { PROVIDERS } from '../../../src/substrate/policy/model.ts';
import type { Rig } from '../../doors/rig.ts';
import { askOwner, asOwner, callOverHttp, connectAgent, edit, issue, receipts } from '../../doors/rig.ts';
import { startWatched } from '../../doors/watched.ts';
import type { Behaviour, ProviderStub } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import { scratch } from '../../support/scratch.ts';

const secretOf = (name: string): string => `sk-canary-${name}-9f3b1c77d2e84a06b5`;

/** The forms in which it might stand somewhere. */
function formsOf(secret: string): string[] {
  return [secret, Buffer.from(secret).toString('base64').replace(/=+$/, ''), Buffer.from(secret).toString('hex')];
}

/** A provider that says the secret back wherever it can. */
function behavioursOf(secret: string): Behaviour[] {
  const echo = JSON.stringify({ error: { message: `Bad key ${secret}`, type: secret, code: secret } });
  const location = `http://127.0.0.1:9/${secret}?key=${secret}`;
  const status = (code: number, headers: Record<string, string> = {}): Behaviour => ({
    do: 'status',
    status: code,
    headers,
    body: echo,
  });
  return [
    { do: 'answer' },
    ...[400, 401, 403, 404, 413, 500, 529].map((code) => status(code)),
    status(429, { 'retry-after': '0', 'x-request-id': secret }),
    status(302, { location }),
    status(307, { location }),
    { do: 'cut', after: 1 },
    { do: 'clean_end' },
    { do: 'bad_chunk', after: 1 },
    { do: 'stream_error', after: 1, message: `overloaded: ${secret}` },
    { do: 'answer' },
  ];
}

function policyFile(stub: ProviderStub): string {
  const names = [...PROVIDERS, 'astray'];
  const provider = (name: string): string => (name === 'astray' ? 'anthropic' : name);
  return JSON.stringify({
    version: 1,
    targets: Object.fromEntries(
      names.map((name) => [
        name,
        { provider: provider(name), base_url: stub.baseUrl(provider(name) as ProviderName), credential: name },
      ]),
    ),
    roles: Object.fromEntries(
      names.map((name) => [name, { dispatch: 'any', candidates: [{ target: name, model: 'm', tier: 2 }] }]),
    ),
    ceilings: [{ scope: 'seed', window: 'day', usd: '100' }],
    prices: names.map((target) => ({ target, model: 'm', input_usd_per_mtok: '1', output_usd_per_mtok: '1' })),
  });
}

function filesIn(folder: string): [string, Buffer][] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => [path, readFileSync(path)]);
}

/** Everything that the owner can look at. */
async function lookAround(rig: Pick<Rig, 'sockets'>, keep: (answer: unknown) => void): Promise<void> {
  const log = await receipts(rig);
  keep(log);
  for (const { seq } of log.filter(({ action }) => action === 'route.attempt')) {
    keep(await askOwner(rig, 'route_trace', { seq }));
  }
  for (const tool of ['route_usage', 'policy_show', 'policy_history', 'credential_list', 'target_list']) {
    keep(await askOwner(rig, tool));
  }
  for (const tool of ['seed_status', 'seed_doctor', 'seed_start']) keep(await askOwner(rig, tool));
}

test('[LOCK-MEMBRANE-1] a target’s secret is in no answer, trace, usage, log, receipt, export or row, whatever the provider does', async () => {
  using folder = scratch();
  await using stub = await startProviderStub();
  await using daemon = await startWatched(folder.at('home'));
  const answers: string[] = [];
  const keep = (answer: unknown): void => {
    answers.push(JSON.stringify(answer));
  };
  const { origin } = new URL(stub.baseUrl('anthropic'));
  for (const name of PROVIDERS) keep(await asOwner(daemon, 'credential_set', { name, origin, secret: secretOf(name) }));
  // One that may go elsewhere alone: it is never sent.
  const elsewhere = { name: 'astray', origin: 'https://elsewhere.example', secret: secretOf('astray') };
  keep(await asOwner(daemon, 'credential_set', elsewhere));
  await asOwner(daemon, 'policy_apply', { document: policyFile(stub) });
  const agent = await connectAgent(daemon, 'cursor');
  const { key } = await issue(daemon, 'helper', ['route.complete', 'route.usage', 'receipt.read']);

  for (const role of [...PROVIDERS, 'astray']) {
    const input = { role, messages: [{ role: 'user', content: 'Hello?' }] };
    for (const [index, behaviour] of behavioursOf(secretOf(role)).entries()) {
      // What asked to be left alone must be asked all the same: the bench is not what is tried here.
      edit(daemon.home, 'DELETE FROM substrate_benched');
      if (role !== 'astray') stub.next(behaviour);
      const doors = [
        () => askOwner(daemon, 'route_complete', input),
        () => agent.call('route_complete', input),
        () => callOverHttp(daemon, key, 'route_complete', input),
      ];
      keep(await doors[index % doors.length]?.());
    }
    keep(await askOwner(daemon, 'target_test', { name: role }));
    keep(await askOwner(daemon, 'credential_set', { name: role, origin, secret: `${secretOf(role)} and more` }));
    keep(await askOwner(daemon, 'credential_set', { name: secretOf(role), origin, secret: secretOf(role), more: 1 }));
  }
  await lookAround(daemon, keep);
  await asOwner(daemon, 'receipt_export', { out: folder.at('export') });
  agent.close();
  const whileServing = filesIn(daemon.home);
  await daemon.stop();
  const after = [...filesIn(daemon.home), ...filesIn(folder.at('export'))];
  const output = [daemon.child.lines.join('\n'), daemon.child.errors()];

  const isKeptThere = (path: string): boolean => path.startsWith(daemon.home) && path.includes('/credentials/');
  for (const name of [...PROVIDERS, 'astray']) {
    for (const form of formsOf(secretOf(name))) {
      const found = [...whileServing, ...after].filter(([path, bytes]) => bytes.includes(form) && !isKeptThere(path));
      expect(found.map(([path]) => path)).toEqual([]);
      for (const text of [...answers, ...output]) expect(text.includes(form) ? text : '').toBe('');
    }
  }
  expect(daemon.uncaught()).toEqual([]);

  // The control: each was sent where it may go and kept where it may lie, and the same search finds both.
  const sent = (name: string) =>
    stub.requests.filter(({ headers }) => JSON.stringify(headers).includes(secretOf(name))).map((one) => one.provider);
  for (const name of PROVIDERS) {
    expect([name, new Set(sent(name)), sent(name).length > 10]).toEqual([name, new Set([name]), true]);
    const found = after.filter(([, bytes]) => bytes.includes(secretOf(name))).map(([path]) => path);
    expect(found).toEqual([join(daemon.home, 'credentials', name)]);
  }
  expect(sent('astray')).toEqual([]);
  expect(after.filter(([, bytes]) => bytes.includes(origin)).map(([path]) => path)).toContain(
    join(daemon.home, 'seed.db'),
  );
});
