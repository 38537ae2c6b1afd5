/** Sessions and handoffs as agents, helpers and the owner meet them: through their own doors. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GONE_MS } from '../../src/substrate/sessions/handoffs.ts';
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

const HANDOFF = ['session.use', 'handoff.offer', 'handoff.accept'];

let names = 0;
const name = (what: string): string => `${what}-${++names}`;

/** What a tool answered, in the caller's word for its form. */
const said: <T = Readonly<Record<string, unknown>>>(answer: RpcAnswer) => Readonly<T> = ({ result }) =>
  result?.structuredContent as never;

/** What a model reads. */
function text({ result }: RpcAnswer): string {
  const content = (result?.['content'] ?? []) as { text: string }[];
  return content[0]?.text ?? '';
}

type Agent = AgentConnection & { readonly as: string };

async function agent(as = name('agent')): Promise<Agent> {
  return { ...(await connectAgent(rig, as)), as };
}

const over = (key: IssuedKey, tool: string, input: object = {}): Promise<RpcAnswer> =>
  callOverHttp(rig, key.key, tool, input);

async function gone(who: Agent): Promise<void> {
  who.close();
  await until(() => !rig.doors.connectedAgents().includes(who.as), `${who.as} to go`);
}

test('[LOCK-HANDOFF-1] whoever lost its session is told so by its daily call, and opens another only with a goal', async () => {
  const ann = await agent();
  const bob = await agent();
  const opened = said<{ session_id: string }>(await ann.call('session_checkpoint', { goal: 'Paint the fence' }));
  const { token } = said<{ token: string }>(await ann.call('handoff_offer', { to: bob.as }));
  expect(outcome(await bob.call('handoff_accept', { token }))).toBe('ok');
  const late = await ann.call('session_checkpoint', { done: ['painted'] });
  expect(outcome(late)).toBe('superseded');
  expect(text(late)).toContain(opened.session_id);
  expect(said(await ann.call('session_checkpoint', { goal: 'Mow the lawn' }))).toMatchObject({ opened: true });
  ann.close();
  bob.close();
});

test('one short call opens a session, and the next ones add to it', async () => {
  const ann = await agent();
  const first = said(await ann.call('session_checkpoint', { goal: 'Paint the fence', next: 'buy paint' }));
  expect(first).toMatchObject({ opened: true, epoch: 1 });
  const second = said(
    await ann.call('session_checkpoint', { done: ['bought paint'], next: 'paint', open: ['which green?'] }),
  );
  expect(second).toMatchObject({ opened: false, session_id: first['session_id'] });
  const read = await ann.call('session_get');
  expect(said(read)).toMatchObject({
    holder: ann.as,
    checkpoint: { goal: 'Paint the fence', done: ['bought paint'], next: 'paint', open: ['which green?'] },
    messages: 0,
  });
  for (const part of ['Asked: Paint the fence', '- bought paint', 'Next: paint', '- which green?'])
    expect(text(read)).toContain(part);
  expect(text(await ann.call('seed_start'))).toContain(
    `You hold session ${String(first['session_id'])}: Paint the fence; next: paint`,
  );
  const other = said(await ann.call('session_checkpoint', { session_id: 'new', goal: 'Another' }));
  expect(other['opened']).toBe(true);
  const decisions = [{ what: 'green', why: 'it was there' }];
  await ann.call('session_checkpoint', { session_id: other['session_id'], more: { decisions, plan: ['a'] } });
  expect(said(await ann.call('session_get', { session_id: other['session_id'] }))).toMatchObject({
    checkpoint: { goal: 'Another', decisions, plan: ['a'] },
  });
  const wrong = { session_id: other['session_id'], more: { decisions: [{ what: 'no why' }] } };
  expect(said(await ann.call('session_checkpoint', wrong))).toMatchObject({
    code: 'invalid_input',
    argument: 'more.decisions.0.why',
  });
  expect(said(await ann.call('session_checkpoint', { next: 'which?' }))).toMatchObject({
    code: 'invalid_input',
    argument: 'session_id',
  });
  ann.close();
});

test('from an agent to a helper and back, by token', async () => {
  const ann = await agent();
  const helper = await issue(rig, name('helper'), [...HANDOFF]);
  await ann.call('session_checkpoint', {
    goal: 'Mow the lawn',
    constraints: ['Never on a Sunday.'],
    next: 'fetch the mower',
  });
  const offered = await ann.call('handoff_offer', { to: helper.name, note: 'mind the cat' });
  const { token, session_id: id } = said<{ token: string; session_id: string }>(offered);
  expect(text(offered)).toContain(token);
  expect(text(await over(helper, 'handoff_status'))).toContain(
    `${ann.as} offers you session ${id}: Mow the lawn (mind the cat)`,
  );
  // Whom it is offered to may read it beforehand.
  expect(said(await over(helper, 'session_get', { session_id: id }))).toMatchObject({ holder: ann.as });
  const accepted = await over(helper, 'handoff_accept', { token });
  expect(said(accepted)).toMatchObject({ session_id: id, epoch: 2, from: ann.as, repeated: false, superseded: false });
  for (const part of [
    'Asked: Mow the lawn',
    'Never on a Sunday.',
    'Next: fetch the mower',
    'Note: mind the cat',
    'is yours, epoch 2',
  ]) {
    expect(text(accepted)).toContain(part);
  }
  expect(said(await over(helper, 'handoff_accept', { token }))).toMatchObject({
    epoch: 2,
    repeated: true,
    receipt: null,
  });
  expect(outcome(await ann.call('session_checkpoint', { session_id: id, next: 'me?' }))).toBe('superseded');
  expect(outcome(await over(helper, 'session_checkpoint', { done: ['mowed'] }))).toBe('ok');
  const back = said<{ token: string }>(await over(helper, 'handoff_offer', { to: ann.as }));
  expect(back.token).not.toBe(token);
  // A local agent that is named needs no token.
  expect(text(await ann.call('seed_start'))).toContain(`${helper.name} offers you session ${id}`);
  expect(said(await ann.call('handoff_accept', { latest: true }))).toMatchObject({ session_id: id, epoch: 3 });
  expect(said(await over(helper, 'handoff_accept', { token }))).toMatchObject({ epoch: 2, superseded: true });
  const status = said<{ handoffs: { status: string }[] }>(await ann.call('handoff_status', { session_id: id }));
  expect(status.handoffs.map((handoff) => handoff.status)).toEqual(['redeemed', 'redeemed']);
  expect(outcome(await ann.call('session_close', { session_id: id }))).toBe('ok');
  ann.close();
});

test('a client that died: another local agent goes on once it has been gone for 30 s, a helper never without a token', async () => {
  const ann = await agent();
  const bob = await agent();
  const helper = await issue(rig, name('helper'), [...HANDOFF]);
  const { session_id: id } = said<{ session_id: string }>(await ann.call('session_checkpoint', { goal: 'Dig a pond' }));
  const take = () => bob.call('handoff_accept', { latest: true, session_id: id });
  expect(said(await take())).toMatchObject({ code: 'holder_alive', session: id });
  await gone(ann);
  rig.sources.time += GONE_MS - 1;
  expect(said(await take())).toMatchObject({ code: 'holder_alive', retry_after_s: 1 });
  rig.sources.time += 1;
  expect(outcome(await over(helper, 'handoff_accept', { latest: true, session_id: id }))).toBe('forbidden');
  expect(text(await bob.call('seed_start'))).toContain(`${ann.as} is gone and left session ${id}: Dig a pond`);
  expect(text(await over(helper, 'seed_start'))).not.toContain(id);
  expect(JSON.stringify(said(await over(helper, 'handoff_status')))).not.toContain(id);
  expect(said(await take())).toMatchObject({ session_id: id, epoch: 2, from: ann.as });
  // It comes back, and is told.
  const back = await agent(ann.as);
  expect(outcome(await back.call('session_checkpoint', { session_id: id, next: 'mine' }))).toBe('superseded');
  for (const each of [back, bob]) each.close();
});

test('the prompt tells what may be picked up, and how', async () => {
  const ann = await agent();
  const bob = await agent();
  const { session_id: id } = said<{ session_id: string }>(
    await ann.call('session_checkpoint', { goal: 'Prune the roses' }),
  );
  await ann.call('handoff_offer', { to: bob.as });
  const prompt = await bob.rpc('prompts/get', { name: 'handoff_pickup' });
  const [message] = (prompt.result?.['messages'] ?? []) as { content: { text: string } }[];
  expect(message?.content.text).toContain(`${ann.as} offers you session ${id}: Prune the roses`);
  expect(message?.content.text).toContain('handoff_accept');
  const deaf = await issue(rig, name('deaf'), ['seed.status']);
  const list = await rpc(rig, deaf.key, { method: 'prompts/list' });
  expect(JSON.stringify(list.result)).not.toContain('handoff_pickup');
  expect(
    (await rpc(rig, deaf.key, { method: 'prompts/get', params: { name: 'handoff_pickup' } })).error?.message,
  ).toContain('no prompt');
  for (const each of [ann, bob]) each.close();
});

describe('the resource', () => {
  test('is for the holder, whom it is offered to, and the owner; updates go to them alone', async () => {
    const [ann, eve] = [await agent(), await agent()];
    const helper = await issue(rig, name('helper'), [...HANDOFF]);
    const { session_id: id } = said<{ session_id: string }>(await ann.call('session_checkpoint', { goal: 'Rake' }));
    const uri = `seed://sessions/${id}`;
    for (const each of [ann, eve]) await each.rpc('resources/subscribe', { uri });
    const stream = await listen(rig, helper.key, [uri]);
    const told = (lines: readonly string[]): number => lines.filter((line) => line.includes('updated')).length;
    await ann.call('session_checkpoint', { session_id: id, next: 'leaves' });
    await until(() => told(ann.lines) === 1, 'the holder to be told');
    expect(JSON.stringify((await ann.rpc('resources/read', { uri })).result)).toContain('leaves');
    expect((await eve.rpc('resources/read', { uri })).error?.message).toContain('no resource');
    expect((await rpc(rig, helper.key, { method: 'resources/read', params: { uri } })).error?.message).toContain(
      'no resource',
    );
    await ann.call('handoff_offer', { session_id: id, to: helper.name });
    await until(() => told(stream.events) === 1, 'whom it is offered to to be told');
    expect(
      JSON.stringify((await rpc(rig, helper.key, { method: 'resources/read', params: { uri } })).result),
    ).toContain('Rake');
    expect(told(eve.lines)).toBe(0);
    stream.close();
    for (const each of [ann, eve]) each.close();
  });
});

describe('a long transcript', () => {
  test('is read in pages that fit a client, whole, and joins without gap or repetition', async () => {
    const ann = await agent();
    const { session_id: id } = said<{ session_id: string }>(await ann.call('session_open', { goal: 'Read' }));
    const messages = Array.from({ length: 120 }, (_, nr) => ({ role: 'user', content: `${nr} ${'é'.repeat(400)}` }));
    await ann.call('session_append', { session_id: id, messages, idempotency_key: 'all' });
    await ann.call('session_append', {
      session_id: id,
      messages: [{ role: 'user', content: `big ${'🦊'.repeat(30_000)}` }],
    });
    interface Page {
      readonly shown: readonly { index: number; text: string }[];
      readonly next: { from: number; offset: number } | null;
    }
    for (const detail of ['concise', 'full']) {
      const found = new Map<number, string>();
      let place: object | null = { from: 0 };
      while (place !== null) {
        const answer = await ann.call('session_get', { session_id: id, detail, limit: 200, ...place });
        expect(Buffer.byteLength(JSON.stringify(said(answer))) / 4).toBeLessThan(10_000);
        expect(Buffer.byteLength(text(answer)) / 4).toBeLessThan(10_000);
        const page: Page = said(answer);
        for (const { index, text: piece } of page.shown) found.set(index, (found.get(index) ?? '') + piece);
        place = page.next;
      }
      expect([...found.keys()]).toEqual(Array.from({ length: 121 }, (_, nr) => nr));
      if (detail === 'full') {
        expect(JSON.parse(found.get(120) ?? '')).toMatchObject({ parts: [{ text: `big ${'🦊'.repeat(30_000)}` }] });
      }
    }
    // Without a place: the last ones.
    const last = said<Page>(await ann.call('session_get', { session_id: id, limit: 3 }));
    expect(last.shown.map(({ index }) => index)).toEqual([118, 119, 120]);
    ann.close();
  });

  test('a handoff’s answer fits as well, however much was said', async () => {
    const [ann, bob] = [await agent(), await agent()];
    const much = Array.from({ length: 18 }, () => 'w'.repeat(1_000));
    const { session_id: id } = said<{ session_id: string }>(
      await ann.call('session_checkpoint', { goal: 'Much', done: much }),
    );
    await ann.call('session_append', {
      session_id: id,
      messages: Array.from({ length: 10 }, () => ({ role: 'user', content: 'x'.repeat(900) })),
    });
    const { token } = said<{ token: string }>(await ann.call('handoff_offer', { session_id: id }));
    const answer = await bob.call('handoff_accept', { token });
    expect(outcome(answer)).toBe('ok');
    expect(Buffer.byteLength(JSON.stringify(said(answer))) / 4).toBeLessThan(10_000);
    expect(Buffer.byteLength(text(answer)) / 4).toBeLessThan(10_000);
    for (const each of [ann, bob]) each.close();
  });
});

test('the owner sees every session and handoff, reads a package as a story, and may give a session on', async () => {
  const ann = await agent();
  const bob = await agent();
  const { session_id: id } = said<{ session_id: string }>(
    await ann.call('session_checkpoint', { goal: 'Sow', done: ['dug'], next: 'sow', open: ['how deep?'] }),
  );
  const { sessions } = await asOwner<{ sessions: { session_id: string; holder: string }[] }>(rig, 'session_list');
  expect(sessions.find((session) => session.session_id === id)).toMatchObject({ holder: ann.as, goal: 'Sow' });
  const offered = await asOwner<{ token: string; handoff: string }>(rig, 'handoff_offer', {
    session_id: id,
    to: bob.as,
  });
  const shown = await asOwner<{ narrative: string }>(rig, 'handoff_show', { handoff: offered.handoff });
  expect(shown.narrative).toContain('Asked: Sow');
  expect(shown.narrative).toContain('Done:\n- dug');
  expect(shown.narrative).toContain('Next: sow');
  expect(said(await bob.call('handoff_accept', { token: offered.token }))).toMatchObject({ epoch: 2 });
  expect((await askOwner(rig, 'handoff_withdraw', { handoff: offered.handoff })).error?.code).toBe('handoff_redeemed');
  for (const each of [ann, bob]) each.close();
});

test('a token stands in no receipt and no row', async () => {
  const ann = await agent();
  await ann.call('session_checkpoint', { goal: 'Secret' });
  const { token } = said<{ token: string }>(await ann.call('handoff_offer', {}));
  const receipts = await asOwner(rig, 'receipt_list', { limit: 200 });
  expect(JSON.stringify(receipts)).not.toContain(token);
  const rows = await rig.substrate.read((db) => db.all('SELECT * FROM substrate_handoffs'));
  expect(JSON.stringify(rows)).not.toContain(token);
  ann.close();
});
