/** The bus as agents, helpers and the owner meet it: through their own doors. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Actor } from '../../src/substrate/actor.ts';
import { SEED } from '../../src/substrate/actor.ts';
import { post } from '../../src/substrate/bus/post.ts';
import { putContent } from '../../src/substrate/content.ts';
import { findGrantByName } from '../../src/substrate/identity/grants.ts';
import { noteTold } from '../../src/substrate/mind/forwarded.ts';
import { noteSorted } from '../../src/substrate/mind/sorted.ts';
import type { AgentConnection, IssuedKey, Rig, RpcAnswer } from '../doors/rig.ts';
import { asOwner, askOwner, callOverHttp, connectAgent, issue, listen, openRig, outcome, rpc } from '../doors/rig.ts';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

let room: Scratch;
let rig: Rig;

beforeAll(async () => {
  room = scratch();
  rig = await openRig(room.at('home'));
});

afterAll(async () => {
  await rig.close();
  expect(rig.defects).toEqual([]);
  room[Symbol.dispose]();
});

const BUS = ['bus.send', 'bus.receive'];

let names = 0;
const name = (what: string): string => `${what}-${++names}`;

interface Message {
  readonly id: string;
  readonly from: string;
  readonly thread: string;
  readonly text?: string;
  readonly data?: unknown;
  readonly attempt: number;
}

/** What a tool answered, in the caller's word for its form. */
const said: <T>(answer: RpcAnswer) => Readonly<T> = ({ result }) => result?.structuredContent as never;

function messages(answer: RpcAnswer): readonly Message[] {
  expect(outcome(answer)).toBe('ok');
  return said<{ messages: readonly Message[] }>(answer).messages;
}

/** What a model reads. */
function text({ result }: RpcAnswer): string {
  return (result?.['content'] as { text: string }[] | undefined)?.[0]?.text ?? '';
}

async function agent(as = name('agent')): Promise<AgentConnection & { readonly as: string }> {
  return { ...(await connectAgent(rig, as)), as };
}

const over = (key: IssuedKey, tool: string, input: object = {}): Promise<RpcAnswer> =>
  callOverHttp(rig, key.key, tool, input);

describe('a conversation', () => {
  test('goes from agent to helper to owner and back, in one thread, in words', async () => {
    const ann = await agent();
    const helper = await issue(rig, name('helper'), [...BUS, `bus.send:${ann.as}`, 'bus.send:owner']);
    const sent = said<{ thread: string; receipt: number }>(
      await ann.call('bus_send', { to: helper.name, text: 'please look', idempotency_key: 'k' }),
    );
    const answer = await over(helper, 'bus_receive');
    expect(messages(answer)).toMatchObject([{ id: '1.1', from: ann.as, text: 'please look', attempt: 1 }]);
    expect(text(answer)).toContain(`1.1 from ${ann.as}`);
    expect(text(answer)).toContain('please look');
    expect(text(answer)).toContain('bus_ack {"ids":["1.1"]}');
    const { thread } = sent;
    const reply = { to: [ann.as, 'owner'], data: { ok: true, found: ['a', 1] }, thread };
    expect(outcome(await over(helper, 'bus_send', reply))).toBe('ok');
    expect(said(await over(helper, 'bus_ack', { ids: ['1.1'] }))).toMatchObject({ settled: ['1.1'], not_settled: [] });
    expect(messages(await ann.call('bus_receive'))).toMatchObject([
      { from: helper.name, thread, data: { ok: true, found: ['a', 1] } },
    ]);
    const owners = await asOwner<{ messages: readonly Message[] }>(rig, 'bus_receive');
    expect(owners.messages).toMatchObject([{ from: helper.name, thread }]);
    await asOwner(rig, 'bus_ack', { ids: owners.messages.map(({ id }) => id) });
    expect(
      said(await ann.call('bus_send', { to: helper.name, text: 'please look', idempotency_key: 'k' })),
    ).toMatchObject({ repeated: true, receipt: sent.receipt });
    const past = said<{ messages: readonly object[] }>(await ann.call('bus_history', { box: 'sent' }));
    expect(past.messages).toMatchObject([{ seq: sent.receipt, with: helper.name, text: 'please look', state: 'sent' }]);
    ann.close();
  });

  test('pages of history join without gap or repetition', async () => {
    const [ann, bob] = [await agent(), await agent()];
    for (let n = 1; n <= 5; n++) await ann.call('bus_send', { to: bob.as, text: `${n}` });
    const [first] = messages(await bob.call('bus_receive', { limit: 1 }));
    await bob.call('bus_ack', { ids: [first!.id] });
    for (const box of ['received', 'sent']) {
      const who = box === 'sent' ? ann : bob;
      const found: string[] = [];
      let cursor: number | undefined;
      for (let page = 0; page < 100; page++) {
        const more = cursor === undefined ? {} : { cursor };
        const answer = await who.call('bus_history', { box, limit: 2, ...more });
        const { messages: some, next_cursor: next } = said<{
          messages: readonly { text: string }[];
          next_cursor: number | null;
        }>(answer);
        found.push(...some.map((message) => message.text));
        if (next === null) break;
        cursor = next;
      }
      expect([box, found]).toEqual([box, ['5', '4', '3', '2', '1']]);
    }
    for (const each of [ann, bob]) each.close();
  });

  test('seed_start tells what waits, and from whom', async () => {
    const [ann, bob] = [await agent(), await agent()];
    expect(text(await bob.call('seed_start'))).toContain('Nothing waits for you');
    await ann.call('bus_send', { to: bob.as, text: 'x' });
    expect(said(await bob.call('seed_start'))).toMatchObject({
      waiting: [`1 message for you, from ${ann.as}: bus_receive.`],
    });
    for (const each of [ann, bob]) each.close();
  });

  test('peers: who is there, who was, and who waits for a message', async () => {
    const [ann, bob, carl] = [await agent(), await agent(), await agent()];
    carl.close();
    await until(() => !rig.doors.connectedAgents().includes(carl.as), 'the last one to go');
    const { peers } = said<{ peers: readonly { name: string; connected: boolean }[] }>(await ann.call('bus_peers'));
    expect(peers).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'owner', kind: 'owner' }),
        expect.objectContaining({ name: bob.as, kind: 'agent', connected: true }),
        expect.objectContaining({ name: carl.as, kind: 'agent', connected: false }),
      ]),
    );
    expect(peers.map((peer) => peer.name)).not.toContain(ann.as);
    for (const each of [ann, bob]) each.close();
  });
});

describe('refusals', () => {
  test.each([
    ['bus_send', { to: 'Not A Name', text: 'x' }, 'to'],
    ['bus_send', { to: [], text: 'x' }, 'to'],
    ['bus_send', { to: 'owner' }, 'text'],
    ['bus_send', { to: 'owner', text: 'x', data: 1 }, 'text'],
    ['bus_send', { to: 'owner', text: 'x', thread: 'two words' }, 'thread'],
    ['bus_send', { to: 'owner', text: 'x', expires_in_s: 0 }, 'expires_in_s'],
    ['bus_receive', { wait_ms: 40_001 }, 'wait_ms'],
    ['bus_receive', { limit: 0 }, 'limit'],
    ['bus_ack', { ids: ['17'] }, 'ids.0'],
    ['bus_ack', { ids: ['1.1'], delay_s: 5 }, 'delay_s'],
    ['bus_ack', { ids: ['1.1'], reason: 'no' }, 'reason'],
    ['bus_follow', { topic: 'topic:x' }, 'topic'],
  ])('%s %j names the wrong argument and says what to do', async (tool, input, argument) => {
    const who = await agent();
    const answer = await who.call(tool, input);
    expect(said(answer)).toMatchObject({ code: 'invalid_input', argument, hint: expect.stringMatching(/./) as string });
    who.close();
  });

  test('nobody by that name, and data that is too deep or too large', async () => {
    const who = await agent();
    expect(said(await who.call('bus_send', { to: 'nobody-here', text: 'x' }))).toMatchObject({
      code: 'not_found',
      argument: 'to',
      recipient: 'nobody-here',
    });
    const deep = JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`) as unknown;
    expect(outcome(await who.call('bus_send', { to: 'owner', data: deep }))).toBe('too_large');
    expect(outcome(await who.call('bus_send', { to: 'owner', data: 'x'.repeat(300_000) }))).toBe('too_large');
    who.close();
  });

  test('an acknowledgement says what became of each', async () => {
    const [ann, bob] = [await agent(), await agent()];
    for (const each of ['one', 'two']) await ann.call('bus_send', { to: bob.as, text: each, thread: 't' });
    await bob.call('bus_receive');
    const answer = await bob.call('bus_ack', { ids: ['2.1', '9.1'] });
    expect(said(answer)).toMatchObject({
      settled: [],
      not_settled: [
        { id: '2.1', why: expect.stringContaining('earlier message') as string },
        { id: '9.1', why: expect.stringContaining('no message') as string },
      ],
    });
    expect(text(answer)).toContain('Not 2.1: ');
    for (const each of [ann, bob]) each.close();
  });
});

describe('a helper', () => {
  test('gets at nobody’s inbox but its own, by whatever path', async () => {
    const ann = await agent();
    const [mine, other] = [await issue(rig, name('mine'), BUS), await issue(rig, name('other'), BUS)];
    const secret = 'only for the other one';
    await ann.call('bus_send', { to: other.name, text: secret });
    await asOwner(rig, 'bus_send', { to: ann.as, text: secret });
    const paths: readonly [string, object][] = [
      ['bus_receive', { limit: 100 }],
      ['bus_history', {}],
      ['bus_history', { box: 'sent' }],
      ['bus_peers', {}],
      ['seed_start', {}],
    ];
    for (const [tool, input] of paths) {
      const answer = await over(mine, tool, input);
      expect([tool, outcome(answer)]).toEqual([tool, 'ok']);
      const shown = JSON.stringify(answer);
      for (const hidden of [secret, other.name, ann.as]) expect([tool, shown.includes(hidden)]).toEqual([tool, false]);
    }
    const inbox = await rpc(rig, mine.key, { method: 'resources/read', params: { uri: 'seed://bus/inbox' } });
    expect(JSON.stringify(inbox)).toContain('\\"waiting\\": 0');
    expect(said(await over(mine, 'bus_ack', { ids: ['1.1'] }))).toMatchObject({ settled: [] });
    for (const tool of ['bus_dead', 'bus_dead_show', 'bus_retry', 'bus_drop', 'bus_inbox']) {
      expect([tool, outcome(await over(mine, tool, {}))]).not.toEqual([tool, 'ok']);
    }
    expect(outcome(await over(mine, 'bus_send', { to: other.name, text: 'x' }))).toBe('forbidden');
    // The control: whose it is finds it by each of these.
    expect(JSON.stringify(await over(other, 'bus_history'))).toContain(secret);
    expect(messages(await over(other, 'bus_receive'))).toMatchObject([{ text: secret }]);
    ann.close();
  });

  test.each([
    ['bus.send', ['bus.receive'], 'bus_send', { to: 'owner', text: 'x' }],
    ['bus.receive', ['bus.send', 'bus.send:owner'], 'bus_receive', {}],
    ['bus.receive', ['bus.send', 'bus.send:owner'], 'bus_ack', { ids: ['1.1'] }],
    ['bus.send:owner', BUS, 'bus_send', { to: 'owner', text: 'x' }],
  ])('without %s, holding %j, is refused %s', async (scope, scopes, tool, input) => {
    const answer = await over(await issue(rig, name('helper'), scopes), tool, input);
    expect(said(answer)).toMatchObject({ code: 'forbidden', scope });
  });

  test('a qualified scope is asked for, approved, and holds for that name alone', async () => {
    const helper = await issue(rig, name('helper'), BUS);
    const asked = await over(helper, 'membrane_request', { scopes: ['bus.send:owner'], reason: 'to report' });
    const { request, hash } = said<{ request: string; hash: string }>(asked);
    await asOwner(rig, 'request_approve', { id: request, hash });
    expect(outcome(await over(helper, 'bus_send', { to: 'owner', text: 'x' }))).toBe('ok');
    const wrong = await over(helper, 'membrane_request', { scopes: ['bus.send:'], reason: 'x' });
    expect(outcome(wrong)).toBe('invalid_input');
    expect(outcome(await over(helper, 'membrane_request', { scopes: ['bus.send:*'], reason: 'x' }))).toBe(
      'invalid_input',
    );
  });

  test('[LOCK-MEMBRANE-2] whose key is removed while it waits gets nothing more', async () => {
    const helper = await issue(rig, name('helper'), BUS);
    const waiting = over(helper, 'bus_receive', { wait_ms: 40_000 }).then(outcome, () => 'cut');
    await until(() => rig.substrate.mail.isAwaited(helper.id), 'it to wait');
    await asOwner(rig, 'bus_send', { to: helper.name, text: 'x', expires_in_s: 3_600 }).catch(() => null);
    expect(await waiting).toBe('ok');
    const again = over(helper, 'bus_receive', { wait_ms: 40_000 }).then(outcome, () => 'cut');
    await until(() => rig.substrate.mail.isAwaited(helper.id), 'it to wait again');
    await asOwner(rig, 'key_revoke', { key: helper.id });
    expect(await again).toBe('cut');
    expect((await askOwner(rig, 'bus_send', { to: helper.name, text: 'x' })).error?.code).toBe('not_found');
    await until(() => !rig.substrate.mail.isAwaited(helper.id), 'nobody to wait any more');
  });
});

describe('updates of seed://bus/inbox', () => {
  test('reach whose message it is, over HTTP and on the socket, and nobody else', async () => {
    const [ann, bob, carl] = [await agent(), await agent(), await agent()];
    const [mine, other] = [await issue(rig, name('mine'), BUS), await issue(rig, name('other'), BUS)];
    const uri = 'seed://bus/inbox';
    for (const each of [bob, carl]) expect(outcome(await each.rpc('resources/subscribe', { uri }))).toBe('ok');
    const streams = [await listen(rig, mine.key, [uri]), await listen(rig, other.key, [uri])] as const;
    const told = (lines: readonly string[]): number => lines.filter((line) => line.includes('updated')).length;
    const counts = (): number[] => [
      told(bob.lines),
      told(carl.lines),
      told(streams[0].events),
      told(streams[1].events),
    ];
    await ann.call('bus_send', { to: [bob.as, mine.name], text: 'x' });
    await until(() => told(bob.lines) === 1 && told(streams[0].events) === 1, 'both to be told');
    // Whoever is told later than that would be told of something else: the second message is for the others.
    await ann.call('bus_send', { to: [carl.as, other.name], text: 'y' });
    await until(() => told(carl.lines) === 1 && told(streams[1].events) === 1, 'the others to be told');
    expect(counts()).toEqual([1, 1, 1, 1]);
    const read = await bob.rpc('resources/read', { uri });
    expect(JSON.stringify(read.result)).toContain(ann.as);
    // Reading, receiving and acknowledging are no news.
    await bob.call('bus_receive');
    await bob.call('bus_ack', { ids: ['1.1'] });
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    expect(counts()).toEqual([1, 1, 1, 1]);
    for (const stream of streams) stream.close();
    for (const each of [ann, bob, carl]) each.close();
  });

  test('are for those who may receive', async () => {
    const helper = await issue(rig, name('deaf'), ['bus.send', 'bus.send:owner']);
    const answer = await rpc(rig, helper.key, { method: 'resources/read', params: { uri: 'seed://bus/inbox' } });
    expect(answer.error?.message).toContain('no resource');
  });
});

describe('dead letters', () => {
  test('the owner lists, reads, puts back and drops them', async () => {
    const [ann, bob] = [await agent(), await agent()];
    await ann.call('bus_send', { to: bob.as, text: 'poison' });
    for (let attempt = 1; attempt <= 5; attempt++) {
      await bob.call('bus_receive');
      await bob.call('bus_ack', { ids: [`1.${attempt}`], nack: true, reason: 'cannot read it' });
    }
    const list = async () => (await asOwner<{ letters: { id: string; recipient: string }[] }>(rig, 'bus_dead')).letters;
    const letter = (await list()).find(({ recipient }) => recipient === bob.as);
    expect(letter).toMatchObject({
      from: ann.as,
      given_out: 5,
      reason: expect.stringContaining('cannot read it') as string,
    });
    const id = letter?.id ?? '';
    expect(await asOwner(rig, 'bus_dead_show', { id })).toMatchObject({ id, text: 'poison' });
    expect(await asOwner(rig, 'bus_retry', { id })).toMatchObject({ recipient: bob.as });
    expect(messages(await bob.call('bus_receive'))).toMatchObject([{ id: '1.6', text: 'poison' }]);
    expect((await askOwner(rig, 'bus_drop', { id })).error?.code).toBe('not_found');
    await bob.call('bus_ack', { ids: ['1.6'] });
    for (const each of [ann, bob]) each.close();
  });
});

test('an alert for which the owner’s inbox had no room is pointed to where it stands', async () => {
  const { substrate } = rig;
  const ann = await agent();
  const { receipt } = said<{ receipt: number }>(await ann.call('bus_send', { to: 'seed', text: 'alert: it burns' }));
  const told = { kind: 'alert', from: ann.as, title: 'it burns', text: 'alert: it burns', message: 1, receipt };
  await substrate.operate({ action: 'mind.sort', actor: SEED }, async (op) => {
    const untold = await putContent(op, Buffer.from(JSON.stringify(told)), substrate);
    const of = { seq: 1, sender: ann.as, thread: 't', sortedBy: 'rules', became: null, replied: false } as const;
    await noteSorted(op, { ...of, kind: 'alert', untold });
  });
  const alerts = async () =>
    (await asOwner<{ items: { kind: string; todo: string }[] }>(rig, 'seed_todo')).items.filter(
      ({ kind }) => kind === 'alert',
    );
  expect(await alerts()).toMatchObject([{ todo: `seed receipts show ${receipt}` }]);
  await substrate.operate({ action: 'mind.tell', actor: SEED }, async (op) => {
    await noteTold(op, 1);
    const draft = { to: ['owner'], format: 'json', body: Buffer.from(JSON.stringify(told)), thread: 't' } as const;
    await post(op, SEED, draft, substrate.sources);
  });
  expect(await alerts()).toMatchObject([{ todo: 'seed bus tail' }]);
  ann.close();
});

test('a daemon that stops answers whoever waits, with nothing, and at once', async () => {
  await using stopping = await openRig(room.at('stopping'));
  const who = await connectAgent(stopping, 'waiter');
  const { key } = await issue(stopping, 'helper', BUS);
  const waits = [
    who.call('bus_receive', { wait_ms: 40_000 }),
    callOverHttp(stopping, key, 'bus_receive', { wait_ms: 40_000 }),
    askOwner(stopping, 'bus_receive', { wait_ms: 40_000 }),
  ] as const;
  await until(() => stopping.substrate.mail.isAwaited('owner'), 'the owner to wait');
  const { value: ids } = await Promise.resolve({
    value: await asOwner<{ grants: { id: string }[] }>(stopping, 'key_list'),
  });
  await until(() => ids.grants.every(({ id }) => stopping.substrate.mail.isAwaited(id)), 'the helper to wait');
  await stopping.close();
  const [agents, helpers, owners] = await Promise.all(waits);
  expect([outcome(agents), outcome(helpers)]).toEqual(['ok', 'ok']);
  expect(said(agents)).toMatchObject({ messages: [] });
  expect(owners.result).toMatchObject({ messages: [] });
});

test('every message that waits for the owner is counted, with whose they are, but for the seed’s own', async () => {
  const { substrate } = rig;
  const todo = async () =>
    (await asOwner<{ items: { kind: string; says: string }[] }>(rig, 'seed_todo')).items.filter(
      ({ kind }) => kind === 'message',
    );
  await asOwner(rig, 'bus_receive', { limit: 100 });
  const counted = (says = ''): number => (says.startsWith('a message') ? 1 : Number.parseInt(says, 10) || 0);
  const before = counted((await todo())[0]?.says);
  const [ann, bob] = [await agent(), await agent()];
  const write = async (from: Actor, count: number): Promise<void> => {
    await substrate.operate({ action: 'bus.send', actor: from }, async (op) => {
      for (let nth = 0; nth < count; nth++) {
        await post(op, from, { to: ['owner'], format: 'text', body: Buffer.from(`${nth}`) }, substrate.sources);
      }
    });
  };
  await write(SEED, 220);
  await write(await actorNamed(ann.as), 210);
  await write(await actorNamed(bob.as), 3);
  const [item, ...more] = await todo();
  expect(more).toEqual([]);
  expect(counted(item?.says)).toBe(before + 213);
  expect(item?.says).toContain(`${ann.as}, ${bob.as}`);
  for (const each of [ann, bob]) each.close();
});

/** The actor of a local agent that came in under that name. */
async function actorNamed(as: string): Promise<Actor> {
  const grant = await rig.substrate.read((db) => findGrantByName(db, 'agent', as));
  if (grant === null) throw new Error(`There is no ${as}.`);
  return { id: as, kind: 'agent', grant: grant.id, scopes: new Set(grant.scopes) };
}
