/** What the doctor says of a seed that serves: each line good, warning or bad, and what to do. */
import { chmodSync } from 'node:fs';
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OWNER } from '../../src/substrate/actor.ts';
import { bench } from '../../src/substrate/benched.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import type { Rig } from '../doors/rig.ts';
import { asOwner, listenAnywhere, openRig } from '../doors/rig.ts';
import type { ProviderStub } from '../support/provider-stub.ts';
import { startProviderStub } from '../support/provider-stub.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

interface Line {
  readonly check: string;
  readonly verdict: 'good' | 'warning' | 'bad';
  readonly says: string;
  readonly advice: string;
}

let folder: Scratch;
let rig: Rig;
let stub: ProviderStub;

beforeEach(async () => {
  folder = scratch();
  stub = await startProviderStub();
  rig = await openRig(folder.at('home'));
});
afterEach(async () => {
  await rig.close();
  await stub.close();
  folder[Symbol.dispose]();
});

async function lines(check: string): Promise<Line[]> {
  const { findings } = await asOwner<{ findings: Line[] }>(rig, 'seed_doctor');
  return findings.filter((finding) => finding.check === check);
}

async function line(check: string): Promise<Line | undefined> {
  return (await lines(check))[0];
}

/** A port on loopback where nobody answers. */
async function nobody(): Promise<string> {
  const server = createServer();
  const url = `http://127.0.0.1:${await listenAnywhere(server)}`;
  await new Promise((resolve) => server.close(resolve));
  return url;
}

function policy(targets: Record<string, string>, order: readonly string[], more = ''): string {
  const entries = Object.entries(targets).map(([name, url]) => `  ${name}: { provider: nvidia, base_url: "${url}" }`);
  const candidates = order.map((name) => `      - { target: ${name}, model: m, tier: 2 }`);
  return `version: 1\ntargets:\n${entries.join('\n')}\nroles:\n  worker:\n    dispatch: any\n    candidates:\n${candidates.join('\n')}\nceilings: [ { scope: seed, window: day, usd: "1.00" } ]\n${more}`;
}

async function apply(document: string): Promise<void> {
  await asOwner(rig, 'policy_apply', { document });
}

test('a new seed has nothing bad, and says what is missing', async () => {
  const { findings, worst } = await asOwner<{ findings: Line[]; worst: string }>(rig, 'seed_doctor');
  expect(worst).toBe('warning');
  expect(findings.filter(({ verdict }) => verdict === 'bad')).toEqual([]);
  expect(await line('policy')).toMatchObject({ verdict: 'warning', advice: 'Add one: `seed target add`.' });
  for (const { verdict, advice } of findings) expect(advice === '').toBe(verdict === 'good');
});

describe('targets', () => {
  test('one that answers is good, and costs nothing', async () => {
    await apply(policy({ here: stub.baseUrl('nvidia') }, ['here']));
    expect(await lines('target')).toEqual([{ check: 'target', verdict: 'good', says: 'here answers.', advice: '' }]);
    expect(await line('policy')).toMatchObject({ verdict: 'good', says: 'Version 1: worker.' });
    const usage = await asOwner<{ total: { spent_micro_usd: number } }>(rig, 'route_usage');
    expect(JSON.stringify(usage)).not.toMatch(/"spent_micro_usd":[1-9]/);
  });

  test('one that does not is a warning where another takes its place, and bad where none does', async () => {
    const gone = await nobody();
    await apply(policy({ gone: `${gone}/v1`, here: stub.baseUrl('nvidia') }, ['gone', 'here']));
    const [first, second] = await lines('target');
    expect(first).toMatchObject({ verdict: 'warning' });
    expect(first?.says).toBe(`gone cannot be used: nobody answers at ${gone}. The role worker is answered by here/m.`);
    expect(second).toMatchObject({ verdict: 'good' });
    await apply(policy({ gone: `${gone}/v1` }, ['gone']));
    expect(await line('target')).toMatchObject({ verdict: 'bad' });
    expect((await line('target'))?.says).toContain('The role worker has nobody left.');
  });

  test('one whose model sits out answers, and yet another takes its place: it says why and until when', async () => {
    const url = stub.baseUrl('nvidia');
    await apply(policy({ first: url, second: url }, ['first', 'second']));
    const why = { model: 'm', reason: 'rate_limited', policyVersion: '1' } as const;
    await rig.substrate.operate({ action: 'test.bench', actor: OWNER }, (op) =>
      bench(op, { ...why, target: 'first', untilMs: op.now + 60_000 }),
    );
    const [resting, other] = await lines('target');
    expect(resting).toMatchObject({ verdict: 'warning' });
    expect(resting?.says).toMatch(
      /^first answers\. m sits out: It asked to be left alone \(rate_limited\) until \S+Z\. The role worker is answered by second\/m\.$/,
    );
    expect(other).toMatchObject({ verdict: 'good' });
  });

  test('one that is to be an Ollama and is none says so', async () => {
    const server = createServer((_request, response) => response.writeHead(404).end());
    const url = `http://127.0.0.1:${await listenAnywhere(server)}`;
    try {
      await apply(policy({ other: url }, ['other']).replace('provider: nvidia', 'provider: local-ollama'));
      expect((await line('target'))?.says).toContain(`other cannot be used: something else answers at ${url}.`);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('one without its key says so, and is not asked', async () => {
    const document = policy({ here: stub.baseUrl('nvidia') }, ['here']).replace(' }', ', credential: missing }');
    await apply(document);
    const before = stub.requests.length;
    const found = await line('target');
    expect(found).toMatchObject({ verdict: 'bad' });
    expect(found?.says).toContain('There is no credential missing');
    expect(stub.requests.length).toBe(before);
  });
});

test('a role that resolves to nothing is bad, with the reason', async () => {
  await apply(policy({ here: stub.baseUrl('nvidia') }, ['here']));
  await rig.substrate.operate(
    { action: 'policy.test', actor: (await import('../../src/substrate/actor.ts')).OWNER },
    (op) => op.run("UPDATE substrate_routing_config SET tier = 7 WHERE role = 'worker'"),
  );
  const found = await line('policy');
  expect(found).toMatchObject({ verdict: 'bad' });
  expect(found?.says).toMatch(/^The role worker resolves to nothing: tier must be 1, 2 or 3/);
});

test('notices that nobody can tell are bad', async () => {
  const notices = 'notices: [ { when: request, to: phone } ]\n';
  await apply(policy({ here: stub.baseUrl('nvidia') }, ['here'], notices));
  expect(await line('notices')).toMatchObject({
    verdict: 'bad',
    says: 'The policy names the notifier phone, and there is none.',
  });
  await asOwner(rig, 'notifier_add', { name: 'phone', command: [process.execPath, '-e', ''] });
  expect(await line('notices')).toMatchObject({ verdict: 'good', says: '1 kind of event told to you.' });
});

test('a file of notifiers that others may write is bad, whatever the policy says', async () => {
  await asOwner(rig, 'notifier_add', { name: 'phone', command: [process.execPath] });
  expect(await line('notices')).toMatchObject({ verdict: 'good' });
  chmodSync(homePath(rig.home, 'notifiers'), 0o644);
  expect(await line('notices')).toMatchObject({
    verdict: 'bad',
    advice: expect.stringContaining('chmod 600') as string,
  });
});

test('a halted seed says so', async () => {
  expect(await line('membrane')).toMatchObject({ verdict: 'good' });
  await asOwner(rig, 'seed_halt');
  expect(await line('membrane')).toMatchObject({ verdict: 'warning' });
});
