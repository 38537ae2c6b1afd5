/** What the pipeline leaves on record: of reads by helpers, and of what was refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PipelineOptions } from '../../src/doors/call.ts';
import { createCall } from '../../src/doors/call.ts';
import { REFUSAL_RECEIPTS_MAX } from '../../src/doors/refusal-receipts.ts';
import { OWNER } from '../../src/substrate/actor.ts';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { IssuedKey, Rig } from './rig.ts';
import {
  ask,
  askOwner,
  asOwner,
  callOverHttp,
  connectAgent,
  issue,
  listen,
  openRig,
  outcome,
  receipts,
  rpc,
} from './rig.ts';

let folder: Scratch;
let rig: Rig;
let helper: IssuedKey;

beforeAll(async () => {
  folder = scratch();
  rig = await openRig(folder.at('home'));
  helper = await issue(rig, 'helper');
});

afterAll(async () => {
  await rig.close();
  folder[Symbol.dispose]();
});

/** The receipts that something left. */
async function leaves(act: () => Promise<unknown>): Promise<object[]> {
  const { size } = await rig.substrate.log();
  await act();
  return (await receipts(rig, { from: size })).map(({ action, outcome: became, code, actor }) => ({
    action,
    outcome: became,
    code,
    actor: actor.id,
  }));
}

const by = (actor: string, action: string, became = 'ok', code: string | null = null): object => ({
  action,
  outcome: became,
  code,
  actor,
});

test('a tool whose file cannot be loaded does nothing, and says what to do', async () => {
  const find = (): Promise<never> => Promise.reject(new Error('ERR_MODULE_NOT_FOUND'));
  // Nothing else of it is reached.
  const options = { find, substrate: rig.substrate } as Partial<PipelineOptions> as PipelineOptions;
  const call = createCall(options)({ tool: 'seed_status', actor: OWNER, input: {} });
  await expect(call).rejects.toMatchObject({
    code: 'internal',
    hint: expect.stringContaining('Stop the seed') as string,
  });
});

describe('what a helper from outside reads', () => {
  test.each([
    ['seed_start', {}, 'seed.start'],
    ['seed_status', {}, 'seed.status'],
    ['receipt_get', { seq: 0 }, 'receipt.get'],
    ['receipt_list', {}, 'receipt.list'],
    ['membrane_whoami', {}, 'membrane.whoami'],
  ])('by %s is on record once, before the answer goes out', async (tool, input, action) => {
    const before = (await rig.substrate.log()).size;
    const left = await leaves(async () => {
      const { result } = await callOverHttp(rig, helper.key, tool, input);
      expect(result?._meta?.['sovereign-seed/receipt']).toBe(before);
      // The checkpoint that comes along covers it.
      expect(String(result?._meta?.['sovereign-seed/checkpoint']).split('\n')[1]).toBe(String(before + 1));
    });
    expect(left).toEqual([by('helper', action)]);
  });

  test('says what was read, where one thing was', async () => {
    const subjects = async (act: () => Promise<unknown>): Promise<object[]> => {
      const { size } = await rig.substrate.log();
      await act();
      return (await receipts(rig, { from: size })).map(({ subject }) => subject);
    };
    const one = { type: 'receipt', id: '1' };
    expect(await subjects(() => callOverHttp(rig, helper.key, 'receipt_get', { seq: 1 }))).toEqual([one]);
    expect(await subjects(() => callOverHttp(rig, helper.key, 'receipt_prove', { seq: 1 }))).toEqual([one]);
    const read = { method: 'resources/read', params: { uri: 'seed://receipts/1' } };
    expect(await subjects(() => rpc(rig, helper.key, read))).toEqual([one]);
    expect(await subjects(() => callOverHttp(rig, helper.key, 'receipt_list'))).toEqual([
      { type: 'seed', id: rig.substrate.seed },
    ]);
  });

  test('as a resource is too', async () => {
    for (const [uri, action] of [
      ['seed://checkpoint', 'receipt.checkpoint'],
      ['seed://status', 'seed.status'],
      ['seed://receipts/0', 'receipt.get'],
    ] as const) {
      const read = (): Promise<unknown> => rpc(rig, helper.key, { method: 'resources/read', params: { uri } });
      expect(await leaves(read)).toEqual([by('helper', action)]);
    }
  });

  test('is under the helper’s own grant', async () => {
    await callOverHttp(rig, helper.key, 'seed_start');
    const [last] = (await receipts(rig)).slice(-1);
    expect(last?.actor).toEqual({ id: 'helper', kind: 'helper', grant: helper.id });
  });

  test('is not told to those who wait for changes: a helper that reads when told would never rest', async () => {
    const stream = await listen(rig, helper.key);
    const told = (): number => stream.events.join('').split('resources/updated').length - 1;
    for (let i = 0; i < 5; i++) await callOverHttp(rig, helper.key, 'seed_start');
    // A real change comes after the reads; were these told, they would be told first.
    await callOverHttp(rig, helper.key, 'receipt_note', { text: 'a change' });
    await until(() => told() > 0, 'to be told');
    for (let i = 0; i < 5; i++) await callOverHttp(rig, helper.key, 'seed_start');
    await callOverHttp(rig, helper.key, 'receipt_note', { text: 'another' });
    await until(() => told() > 1, 'to be told again');
    expect(told()).toBe(2);
    stream.close();
  });

  test('lists of tools, resources and prompts are no reads of what is kept here', async () => {
    const lists = ['tools/list', 'resources/list', 'resources/templates/list', 'prompts/list', 'ping'];
    expect(
      await leaves(async () => {
        for (const method of lists) expect((await rpc(rig, helper.key, { method })).error).toBeUndefined();
      }),
    ).toEqual([]);
  });

  test('what a local agent or the owner reads leaves nothing', async () => {
    const agent = await connectAgent(rig, 'cursor');
    const read = async (): Promise<void> => {
      expect(outcome(await agent.call('receipt_get', { seq: 0 }))).toBe('ok');
      expect(outcome(await agent.call('seed_start'))).toBe('ok');
      await agent.rpc('resources/read', { uri: 'seed://checkpoint' });
      await asOwner(rig, 'seed_status');
    };
    expect(await leaves(read)).toEqual([]);
    agent.close();
  });

  test('what changes something leaves its own receipt and no second one', async () => {
    const note = (): Promise<unknown> => callOverHttp(rig, helper.key, 'receipt_note', { text: 'once' });
    expect(await leaves(note)).toEqual([by('helper', 'note.claim', 'claimed')]);
  });
});

describe('what was refused or failed', () => {
  test.each([
    ['a scope not held', 'membrane_list', {}, 'forbidden'],
    ['an argument missing', 'receipt_get', {}, 'invalid_input'],
    ['an argument too many', 'seed_status', { confirm: true }, 'invalid_input'],
    ['something not there', 'receipt_get', { seq: 99_999_999 }, 'not_found'],
  ])('by %s is on record once', async (_what, tool, input, code) => {
    const agent = await connectAgent(rig, 'clumsy');
    for (const [actor, call] of [
      ['helper', () => callOverHttp(rig, helper.key, tool, input)],
      ['clumsy', () => agent.call(tool, input)],
    ] as const) {
      const { size } = await rig.substrate.log();
      const left = await leaves(async () => {
        const answer = await call();
        expect(outcome(answer)).toBe(code);
        expect(answer.result?.structuredContent?.['receipt']).toBe(size);
      });
      expect(left).toEqual([by(actor, tool.replace('_', '.'), 'refused', code)]);
    }
    agent.close();
  });

  test('is told in plain words, with what to do apart from what was wrong', async () => {
    const { result } = await callOverHttp(rig, helper.key, 'receipt_list', { limit: 0 });
    expect(result?.structuredContent).toMatchObject({
      code: 'invalid_input',
      argument: 'limit',
      message: 'limit must be at least 1; it was 0.',
      hint: 'receipt_list takes from, to, actor, action, outcome, order, limit, cursor.',
    });
    expect(result?.['content']).toEqual([
      {
        type: 'text',
        text: 'limit must be at least 1; it was 0.\nWhat to do: receipt_list takes from, to, actor, action, outcome, order, limit, cursor.\n(invalid_input)',
      },
    ]);
  });

  test('by half a character: what was said and what was hashed would differ', async () => {
    const agent = await connectAgent(rig, 'half');
    for (const text of ['a \ud800 b', '\udc00']) {
      const left = await leaves(async () => {
        const answer = await agent.call('receipt_note', { text });
        expect([outcome(answer), answer.result?.structuredContent?.['message']]).toEqual([
          'invalid_input',
          'A text in the input has half a character in it (a lone surrogate).',
        ]);
      });
      expect(left).toEqual([by('half', 'receipt.note', 'refused', 'invalid_input')]);
    }
    expect(outcome(await agent.call('receipt_note', { text: 'a \u{1F331} b' }))).toBe('ok');
    agent.close();
  });

  test('by a tool that is not there is on record, without what it was called', async () => {
    const left = await leaves(async () => {
      expect((await callOverHttp(rig, helper.key, 'a-secret-name')).error?.code).toBe(-32_602);
    });
    expect(left).toEqual([by('helper', 'tool.call', 'refused', 'not_found')]);
    expect(JSON.stringify(await receipts(rig))).not.toContain('a-secret-name');
  });

  test('of the owner’s reads is not; of what the owner may not change so, it is', async () => {
    expect(await leaves(() => askOwner(rig, 'receipt_get', { seq: 99_999_999 }))).toEqual([]);
    expect(await leaves(() => askOwner(rig, 'no_such_tool'))).toEqual([]);
    expect(await leaves(() => askOwner(rig, 'key_issue', {}))).toEqual([
      by('owner', 'key.issue', 'refused', 'invalid_input'),
    ]);
  });

  test('over and over fills no log: so many a minute for each grant, and then how many there were', async () => {
    const [noisy, quiet] = [await issue(rig, 'noisy'), await issue(rig, 'quiet')];
    const err = async (key: string): Promise<void> => {
      expect(outcome(await callOverHttp(rig, key, 'membrane_list'))).toBe('forbidden');
    };
    const left = await leaves(async () => {
      for (let i = 0; i < REFUSAL_RECEIPTS_MAX + 40; i++) await err(noisy.key);
    });
    expect(left).toHaveLength(REFUSAL_RECEIPTS_MAX);
    expect(await leaves(() => err(quiet.key))).toHaveLength(1);
    // What it may do is on record all the same.
    expect(await leaves(() => callOverHttp(rig, noisy.key, 'seed_start'))).toHaveLength(1);
    const before = rig.sources.time;
    rig.sources.time += 60_000;
    try {
      expect(await leaves(() => err(noisy.key))).toHaveLength(1);
      const [last] = (await receipts(rig)).slice(-1);
      expect(last?.detail).toEqual({ unrecorded: 40 });
    } finally {
      rig.sources.time = before;
    }
  });
});

test('the owner’s door answers one form of call, and nothing else', async () => {
  const send = (what: Parameters<typeof ask>[1]) => ask({ socketPath: rig.sockets.owner }, what);
  for (const what of [
    { path: '/call' },
    { method: 'POST', path: '/' },
    { method: 'POST', path: '/call', body: 'nonsense' },
    { method: 'POST', path: '/call', body: '{}' },
    { method: 'POST', path: '/call', body: '{"tool":"key_list","actor":{"id":"x"}}' },
    { method: 'POST', path: '/call', body: '['.repeat(100_000) },
    { method: 'POST', path: '/call', body: `{"tool":"${'x'.repeat(100)}"}` },
  ]) {
    const answer = await send(what);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toHaveProperty('error.code');
  }
  expect((await send({ method: 'POST', path: '/call', body: '{"tool":"key_list","input":{}}' })).status).toBe(200);
});
