/** Conversations of clients that know nothing of sessions: recognised, written once, handed over, fenced off. */
import * as fc from '../../support/fast-check.ts';
import type OpenAI from 'openai';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  beginTurn,
  closeIdle,
  draftSession,
  endTurn,
  IDLE_MS,
  openConversation,
  OPEN_CONVERSATIONS_MAX,
} from '../../../src/substrate/sessions/conversations.ts';
import { sessionOf } from '../../../src/substrate/sessions/sessions.ts';
import { readTranscript } from '../../../src/substrate/sessions/work.ts';
import { getContent } from '../../../src/substrate/content.ts';
import type { Row } from '../../../src/substrate/substrate.ts';
import { EMPTY_TRANSCRIPT, extendTranscript, messageHash, messageText } from '../../../src/substrate/transcript.ts';
import { until } from '../../support/child.ts';
import type { ProviderStub } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import { asOwner, connectAgent, edit, issue, receipts } from '../rig.ts';
import type { GatewayRig } from './rig.ts';
import { anthropicOf, CLIENT_SCOPES, openaiOf, policyOver, openAlone } from './rig.ts';

let stub: ProviderStub;
let rig: GatewayRig;
beforeAll(async () => {
  stub = await startProviderStub();
  return () => stub.close();
});
beforeEach(async () => {
  const opened = await openAlone(policyOver(stub, 'nvidia', { usd: '100.00' }));
  rig = opened.rig;
  return opened.end;
});

type Turn = OpenAI.Chat.ChatCompletionMessageParam;
const user = (content: string): Turn => ({ role: 'user', content });
const assistant = (content: string): Turn => ({ role: 'assistant', content });

interface Said {
  readonly text: string;
  readonly session: string | null;
  readonly call: string;
}

/** Asks for what comes next, and is answered `answer`; null where it is to be refused before anything is asked. */
async function say(
  messages: readonly Turn[],
  answer: string | null,
  { headers = {}, key }: { headers?: Record<string, string>; key?: string } = {},
): Promise<Said> {
  if (answer !== null) stub.next({ do: 'answer', answer: { text: [answer] } });
  const client = openaiOf(rig, key === undefined ? {} : { key });
  const ask = { model: 'worker', messages: [...messages] };
  const options = { headers };
  const { data, response } = await client.chat.completions.create({ ...ask, stream: false }, options).withResponse();
  return {
    text: data.choices[0]?.message.content ?? '',
    session: response.headers.get('x-seed-session'),
    call: response.headers.get('x-seed-call') ?? '',
  };
}

function count(table: string): Promise<number> {
  return rig.substrate.read(async (db) => {
    const row = await db.get<{ count: number } & Row>(`SELECT count(*) AS count FROM ${table}`);
    return row?.count ?? 0;
  });
}

async function textsOf(session: string): Promise<string[]> {
  const messages = await rig.substrate.read(async (db) => readTranscript(db, await sessionOf(db, session)));
  return messages.map(({ parts }) => parts.map((part) => (part.type === 'text' ? part.text : part.type)).join('|'));
}

describe('a conversation', () => {
  test('is recognised by its beginning; each message is written once', async () => {
    const opening = [user('What is a seed?'), assistant('A small home.'), user('Of what?')];
    const first = await say(opening, 'Of agents.');
    expect(first.session).toMatch(/^[0-9a-f]{32}$/);
    const more = [...opening, assistant('Of agents.'), user('And whose?')];
    const second = await say(more, 'Yours.');
    expect(second.session).toBe(first.session);
    const third = await say([...more, assistant('Yours.'), user('Good.')], 'Quite.');
    expect(third.session).toBe(first.session);
    expect(await textsOf(first.session ?? '')).toEqual([
      'What is a seed?',
      'A small home.',
      'Of what?',
      'Of agents.',
      'And whose?',
      'Yours.',
      'Good.',
      'Quite.',
    ]);
    const { sessions } = await asOwner<{ sessions: { session_id: string; goal: string; holder: string }[] }>(
      rig,
      'session_list',
    );
    expect(sessions).toMatchObject([{ session_id: first.session, goal: 'What is a seed?', holder: 'client' }]);
  });

  test('costs two receipts a call, all with its session in them', async () => {
    await say([user('a'), assistant('b'), user('c')], 'd');
    const before = (await receipts(rig)).length;
    const { session } = await say([user('a'), assistant('b'), user('c'), assistant('d'), user('e')], 'f');
    const left = (await receipts(rig)).slice(before);
    expect(left.map(({ action, outcome }) => [action, outcome])).toEqual([
      ['route.attempt', 'intent'],
      ['route.attempt', 'ok'],
    ]);
    expect(left[0]?.detail).toMatchObject({ session });
    // What was asked is kept as where it stands in the transcript, with the hash of all until there.
    const { input = null } = left[0] ?? {};
    const kept = await rig.substrate.read((db) => getContent(db, input ?? ''));
    const said = JSON.parse(Buffer.from(kept ?? []).toString()) as { transcript: { hash: string }; messages?: unknown };
    const all = await rig.substrate.read(async (db) => readTranscript(db, await sessionOf(db, session ?? '')));
    let hash: Uint8Array = EMPTY_TRANSCRIPT;
    for (const message of all.slice(0, 5)) hash = extendTranscript(hash, messageHash(messageText(message)));
    expect(said).toMatchObject({ transcript: { from: 4, to: 5, hash: Buffer.from(hash).toString('hex') } });
    expect(said.messages).toBeUndefined();
  });

  test('a question by itself leaves no session, nor does one whose client wants none', async () => {
    expect((await say([user('One thing.')], 'Yes.')).session).toBeNull();
    const headers = { 'x-seed-session': 'none' };
    expect((await say([user('a'), assistant('b'), user('c')], 'd', { headers })).session).toBeNull();
    expect(await count('substrate_sessions')).toBe(0);
    // The control: said to be one, the same question is one.
    expect((await say([user('One thing.')], 'Yes.', { headers: { 'x-seed-session': 'new' } })).session).not.toBeNull();
  });

  test('whose past was edited is another one from there', async () => {
    const { session } = await say([user('a'), assistant('b'), user('c')], 'd');
    const edited = await say([user('a'), assistant('b, edited'), user('c'), assistant('d'), user('e')], 'f');
    expect(edited.session).not.toBe(session);
    expect(await textsOf(session ?? '')).toHaveLength(4);
    expect(await textsOf(edited.session ?? '')).toHaveLength(6);
  });

  test('that was cut off goes on where its client does, with what that has of the answer', async () => {
    stub.next({ do: 'status', status: 400 });
    const opening = [user('a'), assistant('b'), user('c')];
    await expect(openaiOf(rig).chat.completions.create({ model: 'worker', messages: opening })).rejects.toThrow();
    const again = await say(opening, 'd');
    expect(await textsOf(again.session ?? '')).toEqual(['a', 'b', 'c', 'd']);
    expect(await count('substrate_sessions')).toBe(1);
  });

  test('of another key is never found, however alike', async () => {
    const opening = [user('a'), assistant('b'), user('c')];
    const { session } = await say(opening, 'd');
    const other = await issue(rig, 'other', CLIENT_SCOPES);
    const theirs = await say([...opening, assistant('d'), user('e')], 'f', { key: other.key });
    expect(theirs.session).not.toBe(session);
  });

  test('is one for a client that writes the date into its system prompt', async () => {
    const ask = { model: 'worker', max_tokens: 50 };
    const client = anthropicOf(rig);
    const opening = [
      { role: 'user' as const, content: 'a' },
      { role: 'assistant' as const, content: 'b' },
      { role: 'user' as const, content: 'c' },
    ];
    const long = 'You are an agent. '.repeat(100);
    const sessions = [];
    let messages = opening;
    for (const day of ['1', '2', '3']) {
      stub.next({ do: 'answer', answer: { text: [`d${day}`] } });
      const system = [
        { type: 'text' as const, text: `Day ${day}.` },
        { type: 'text' as const, text: long },
      ];
      const { response } = await client.messages.create({ ...ask, system, messages }).withResponse();
      sessions.push(response.headers.get('x-seed-session'));
      messages = [
        ...messages,
        { role: 'assistant' as const, content: `d${day}` },
        { role: 'user' as const, content: `e${day}` },
      ];
    }
    expect(new Set(sessions).size).toBe(1);
    // The long prompt was kept with the first call alone: all three together are smaller than two of it.
    const kept = await rig.substrate.read(async (db) =>
      db.get<{ bytes: number } & Row>(
        `SELECT sum(length(c.body)) AS bytes FROM substrate_content c JOIN substrate_calls k ON k.input = c.hash`,
      ),
    );
    expect(kept?.bytes).toBeGreaterThan(long.length);
    expect(kept?.bytes).toBeLessThan(2 * long.length);
  });
});

test('whatever clients go on from, edit and repeat, a session has just what its client has', async () => {
  // Few words, so that conversations are alike and one is easily taken for another.
  const word = fc.constantFrom('a', 'b', 'c');
  const step = fc.record({ of: fc.nat(), upTo: fc.nat(), said: word, answer: word });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 8 }), async (steps) => {
      const known: Turn[][] = [[user('a'), assistant('b')]];
      for (const { of, upTo, said, answer } of steps) {
        const before = known[of % known.length] ?? [];
        // Turns come in pairs; a beginning of one that was had is gone on from, or all of it.
        const kept = before.slice(0, 2 * (1 + (upTo % (before.length / 2))));
        const asked = [...kept, user(said)];
        const { session, text } = await say(asked, answer);
        const whole = [...asked, assistant(text)];
        expect(await textsOf(session ?? '')).toEqual(whole.map(({ content }) => content));
        known.push(whole);
      }
    }),
    { numRuns: process.env['SEED_TEST_LONG'] === '1' ? 100 : 8 },
  );
});

describe('after a crash', () => {
  test('a call that was cut off holds nobody up; what it was asked is asked again, and written once', async () => {
    const opening = [user('a'), assistant('b'), user('c')];
    stub.next({ do: 'status', status: 400 });
    await expect(openaiOf(rig).chat.completions.create({ model: 'worker', messages: opening })).rejects.toThrow();
    const row = await rig.substrate.read((db) =>
      db.get<{ id: string; session: string } & Row>('SELECT id, session FROM substrate_calls'),
    );
    // As a crash leaves it: the session names the call, and nobody knows how that ended.
    edit(rig.home, 'UPDATE substrate_sessions SET step_call = ?', row?.id ?? '');
    edit(rig.home, "UPDATE substrate_calls SET status = 'in_doubt'");
    const again = await say(opening, 'd');
    expect(again.session).toBe(row?.session);
    expect(await textsOf(again.session ?? '')).toEqual(['a', 'b', 'c', 'd']);
    // The control: one that runs is waited for by nobody; the request begins a conversation of its own.
    edit(rig.home, 'UPDATE substrate_sessions SET step_call = ?', row?.id ?? '');
    edit(rig.home, "UPDATE substrate_calls SET status = 'running' WHERE id = ?", row?.id ?? '');
    expect((await say([...opening, assistant('d'), user('e')], 'f')).session).not.toBe(again.session);
  });
});

describe('a session by its name', () => {
  test('goes on where the messages do, and is a conflict where they do not', async () => {
    const { session } = await say([user('a'), assistant('b'), user('c')], 'd');
    const headers = { 'x-seed-session': session ?? '' };
    const next = await say([user('a'), assistant('b'), user('c'), assistant('d'), user('e')], 'f', { headers });
    expect(next.session).toBe(session);
    await expect(say([user('x'), assistant('y'), user('z')], null, { headers })).rejects.toMatchObject({ status: 409 });
    await expect(say([user('a')], null, { headers: { 'x-seed-session': 'f'.repeat(32) } })).rejects.toMatchObject({
      status: 404,
    });
    await expect(say([user('a')], null, { headers: { 'x-seed-session': 'no such thing' } })).rejects.toMatchObject({
      status: 400,
    });
  });

  test('needs the scope of sessions; without it a key asks all the same, with no session', async () => {
    const { key } = await issue(rig, 'plain', ['route.complete']);
    expect((await say([user('a'), assistant('b'), user('c')], 'd', { key })).session).toBeNull();
    await expect(say([user('a')], null, { key, headers: { 'x-seed-session': 'new' } })).rejects.toMatchObject({
      status: 403,
    });
  });
});

describe('[LOCK-HANDOFF-1] handing over', () => {
  test('another client picks it up whole, and the one before is told who holds it', async () => {
    const { session } = await say([user('Carry this on'), assistant('b'), user('c')], 'd');
    const cursor = await connectAgent(rig, 'cursor');
    const early = await cursor.call('handoff_accept', { latest: true, redeem_id: 'too-early' });
    expect(early.result?.structuredContent).toMatchObject({ code: 'holder_alive' });
    rig.sources.time += 31_000;
    const taken = await cursor.call('handoff_accept', { latest: true, redeem_id: 'now' });
    expect(taken.result?.isError).not.toBe(true);
    const read = await cursor.call('session_get', { session_id: session });
    expect(JSON.stringify(read.result?.structuredContent)).toContain('Carry this on');
    const before = stub.requests.length;
    const refused = say([user('Carry this on'), assistant('b'), user('c'), assistant('d'), user('e')], null);
    await expect(refused).rejects.toMatchObject({ status: 409 });
    await expect(refused).rejects.toThrow('held by cursor');
    // No byte went to a model, and a new conversation is free to begin.
    expect(stub.requests.length).toBe(before);
    expect((await say([user('Something else'), assistant('b'), user('c')], 'd')).session).not.toBe(session);
    cursor.close();
  });

  test('a conversation under a key without handoff.offer is nobody else’s to take', async () => {
    const { key } = await issue(rig, 'service', ['route.complete', 'session.use']);
    await say([user('A customer’s'), assistant('b'), user('c')], 'd', { key });
    rig.sources.time += 60_000;
    const cursor = await connectAgent(rig, 'cursor');
    const taken = await cursor.call('handoff_accept', { latest: true, redeem_id: 'x' });
    expect(taken.result?.structuredContent).toMatchObject({ code: 'not_found' });
    cursor.close();
  });
});

describe('two at once', () => {
  test('the first goes on in the session, the other in one of its own', async () => {
    const opening = [user('a'), assistant('b'), user('c')];
    const { session } = await say(opening, 'd');
    const next = [...opening, assistant('d'), user('e')];
    stub.next({ do: 'stall', after: 2, answer: { text: ['slow ', 'answer ', 'here'] } });
    const control = new AbortController();
    const slow = await openaiOf(rig)
      .chat.completions.create({ model: 'worker', messages: next, stream: true }, { signal: control.signal })
      .withResponse();
    expect(slow.response.headers.get('x-seed-session')).toBe(session);
    const other = await say(next, 'f');
    expect(other.session).not.toBe(session);
    control.abort();
    await until(async () => {
      const found = await rig.substrate.read((db) => sessionOf(db, session ?? ''));
      return found.stepCall === null;
    }, 'the call to be settled');
    const last = (await receipts(rig)).findLast(({ action }) => action === 'route.attempt');
    expect(last).toMatchObject({ outcome: 'incomplete', code: 'cancelled' });
    // What was cut off is not in the transcript; its question is, and is answered the next time.
    expect(await textsOf(session ?? '')).toEqual(['a', 'b', 'c', 'd', 'e']);
  });
});

describe('their end', () => {
  test('idle ones are closed by upkeep, with one receipt, and can be read', async () => {
    const { session } = await say([user('a'), assistant('b'), user('c')], 'd');
    expect(await closeIdle(rig.substrate)).toBe(0);
    rig.sources.time += IDLE_MS + 1;
    expect(await closeIdle(rig.substrate)).toBe(1);
    expect(await closeIdle(rig.substrate)).toBe(0);
    const found = await rig.substrate.read((db) => sessionOf(db, session ?? ''));
    expect(found.status).toBe('closed');
    expect(await textsOf(session ?? '')).toHaveLength(4);
    expect(await count('substrate_conversations')).toBe(0);
  });

  test('also one whose call was cut off by a crash, which nobody will end any more', async () => {
    const { session } = await say([user('a'), assistant('b'), user('c')], 'd');
    const row = await rig.substrate.read((db) => db.get<{ id: string } & Row>('SELECT id FROM substrate_calls'));
    edit(rig.home, 'UPDATE substrate_sessions SET step_call = ?', row?.id ?? '');
    edit(rig.home, "UPDATE substrate_calls SET status = 'in_doubt'");
    expect(await closeIdle(rig.substrate)).toBe(0);
    rig.sources.time += IDLE_MS + 1;
    expect(await closeIdle(rig.substrate)).toBe(1);
    expect((await rig.substrate.read((db) => sessionOf(db, session ?? ''))).status).toBe('closed');
  });

  test('of more than there is room for the idlest are closed', async () => {
    const actor = { id: 'client', kind: 'helper', grant: rig.client.id, scopes: new Set(CLIENT_SCOPES) } as const;
    const open = (index: number): Promise<unknown> =>
      rig.substrate.operate({ action: 'test.open', actor }, async (op) => {
        rig.sources.time += 1;
        const draft = draftSession(actor, { id: `s${index}`, goal: String(index), now: op.now });
        const session = await openConversation(op, actor, draft);
        const head = Buffer.from(`head ${index}`);
        await beginTurn(op, session, { call: `c${index}`, added: [], head, frame: head });
        await endTurn(op, { session: session.id, epoch: 1, call: `c${index}`, answer: null, head: null });
      });
    for (let index = 0; index < OPEN_CONVERSATIONS_MAX + 3; index++) await open(index);
    const rows = await rig.substrate.read((db) =>
      db.all<{ id: string } & Row>("SELECT id FROM substrate_sessions WHERE status = 'closed' ORDER BY id"),
    );
    expect(rows.map(({ id }) => id)).toEqual(['s0', 's1', 's2']);
  });
});
