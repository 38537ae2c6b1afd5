/** Tasks as agents, helpers and the owner meet them: through their own doors. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OWNER } from '../../src/substrate/actor.ts';
import type { AgentConnection, IssuedKey, Rig, RpcAnswer } from '../doors/rig.ts';
import { sentence } from '../../src/tools/text.ts';
import {
  asOwner,
  askOwner,
  callOverHttp,
  connectAgent,
  edit,
  issue,
  openRig,
  outcome,
  receipts,
} from '../doors/rig.ts';
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

let names = 0;
const name = (what: string): string => `${what}-${++names}`;

interface Changed {
  readonly id: string;
  readonly state: string;
  readonly lease: number;
  readonly receipt: number;
}

interface Listed {
  readonly tasks: readonly { readonly id: string; readonly title: string; readonly held_by: string | null }[];
  readonly task?: { readonly text: string; readonly history: readonly { readonly event: string }[] };
  readonly next_cursor: string | null;
}

/** What a tool answered, in the caller's word for its form. */
const said: <T>(answer: RpcAnswer) => Readonly<T> = ({ result }) => result?.structuredContent as never;

/** What a model reads. */
function text({ result }: RpcAnswer): string {
  return (result?.['content'] as { text: string }[] | undefined)?.[0]?.text ?? '';
}

async function agent(as = name('agent')): Promise<AgentConnection & { readonly as: string }> {
  return { ...(await connectAgent(rig, as)), as };
}

const over = (key: IssuedKey, tool: string, input: object = {}): Promise<RpcAnswer> =>
  callOverHttp(rig, key.key, tool, input);

async function ok<T>(answer: Promise<RpcAnswer>): Promise<T> {
  const got = await answer;
  expect([outcome(got), text(got)]).toEqual(['ok', expect.any(String)]);
  return said<T>(got);
}

test('a sentence ends once', () => {
  expect(['mend it', 'Mend it.', 'Why?', 'and so on…'].map(sentence)).toEqual([
    'mend it.',
    'Mend it.',
    'Why?',
    'and so on…',
  ]);
});

describe('tools', () => {
  test('a task from adding to done, in words, with the messages that it sends', async () => {
    const [ann, bob] = [await agent(), await agent()];
    const subsystem = name('sub');
    const added = await ok<Changed>(
      ann.call('task_update', {
        do: 'add',
        title: 'mend the login',
        text: 'It fails with a 500.',
        subsystem,
        acceptance: ['a user can log in'],
        deadline: '2026-12-01',
        priority: 1,
      }),
    );
    const { id } = added;
    expect(text(await bob.call('seed_start'))).toMatch(/open tasks? could be claimed: task_list/);
    const list = await bob.call('task_list', { subsystem });
    expect(text(list)).toContain(`${id} [open] mend the login (${subsystem}; priority 1; due 2026-12-01T00:00:00.000Z`);
    const claim = await bob.call('task_update', { do: 'claim', id });
    const { lease } = said<Changed>(claim);
    expect(text(claim)).toContain(`"lease":${lease}`);
    expect(text(await bob.call('seed_start'))).toContain(`You hold task ${id}: mend the login, due 2026-12-01`);
    await ok(bob.call('task_update', { do: 'progress', id, lease, note: 'found it' }));
    const finished = await bob.call('task_update', { do: 'finish', id, lease });
    expect(text(finished)).toContain('Now somebody other than you verifies it.');
    expect(outcome(await bob.call('task_update', { do: 'verify', id }))).toBe('forbidden');
    expect(text(await ann.call('seed_start'))).toMatch(/finished tasks? you could verify/);
    expect(text(await bob.call('seed_start'))).not.toMatch(/finished tasks? you could verify/);
    await ok(ann.call('task_update', { do: 'verify', id, note: 'works' }));
    const whole = await bob.call('task_list', { id });
    for (const part of ['It fails with a 500.', '- a user can log in', `Verified by ${ann.as}.`, ': found it']) {
      expect(text(whole)).toContain(part);
    }
    expect(said<Listed>(whole).task?.history.map(({ event }) => event)).toEqual([
      'verify',
      'finish',
      'progress',
      'claim',
      'add',
    ]);
    const mail = await ok<{ messages: readonly { from: string; thread: string; data: object }[] }>(
      bob.call('bus_receive'),
    );
    expect(mail.messages).toMatchObject([
      { from: 'seed', thread: `task:${id}`, data: { task: id, event: 'verify', by: ann.as, note: 'works' } },
    ]);
    for (const each of [ann, bob]) each.close();
  });

  test('each state takes what belongs to it, and says what is missing', async () => {
    const ann = await agent();
    for (const [input, says] of [
      [{ do: 'add' }, 'title is missing for "add"'],
      [{ do: 'claim' }, 'id is missing for "claim"'],
      [{ do: 'finish', id: 't1' }, 'lease is missing for "finish"'],
      [{ do: 'claim', id: 't1', title: 'x' }, 'title does not belong to "claim"'],
      [{ do: 'add', title: 'x', deadline: 'soon' }, 'deadline must be a date'],
      [{ do: 'add', title: 'x', check: { receipt: 'a.b', file: '/x' } }, 'either a receipt'],
      [{ do: 'add', title: 'x', check: {} }, 'either a receipt'],
      [{ do: 'claim', id: '17' }, 'id must be the id of a task'],
    ] as const) {
      const answer = await ann.call('task_update', input);
      expect([input, outcome(answer)]).toEqual([input, 'invalid_input']);
      expect(text(answer)).toContain(says);
    }
    expect(outcome(await ann.call('task_list', { cursor: 'x' }))).toBe('invalid_input');
    ann.close();
  });

  test('pages join, and a helper does what its scopes say', async () => {
    const subsystem = name('sub');
    for (let n = 1; n <= 5; n++) await asOwner(rig, 'task_update', { do: 'add', title: `${n}`, subsystem });
    const reader = await issue(rig, name('reader'), ['task.read']);
    const found: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const more = cursor === undefined ? {} : { cursor };
      const page: Listed = await ok<Listed>(over(reader, 'task_list', { subsystem, limit: 2, ...more }));
      found.push(...page.tasks.map(({ title }) => title));
      cursor = page.next_cursor;
    }
    expect(found).toEqual(['1', '2', '3', '4', '5']);
    expect(outcome(await over(reader, 'task_update', { do: 'add', title: 'x' }))).toBe('forbidden');
    const worker = await issue(rig, name('worker'), ['task.read', 'task.write']);
    const { id } = await ok<Changed>(over(worker, 'task_update', { do: 'add', title: 'x' }));
    const { lease } = await asOwner<Changed>(rig, 'task_update', { do: 'claim', id });
    await asOwner(rig, 'task_update', { do: 'finish', id, lease });
    const no = await over(worker, 'task_update', { do: 'verify', id });
    expect([outcome(no), text(no)]).toEqual(['forbidden', expect.stringContaining('task.verify')]);
    const verifier = await issue(rig, name('verifier'), ['task.write', 'task.verify']);
    expect((await ok<Changed>(over(verifier, 'task_update', { do: 'verify', id }))).state).toBe('done');
    const reads = await receipts(rig, { action: 'task.list' });
    expect(reads.some(({ actor, subject }) => actor.id === reader.name && subject.id === '*')).toBe(true);
  });
});

describe('the owner’s screens', () => {
  interface Today {
    readonly people: readonly { readonly name: string; readonly says: readonly string[]; readonly refused: number }[];
    readonly refusals: readonly { readonly receipt: number; readonly who: string; readonly says: string }[];
    readonly receipts: { readonly first: number; readonly last: number; readonly count: number };
    readonly refused: number;
    readonly day: string;
  }

  test('today says who did what, with receipts; yesterday is not in it', async () => {
    rig.sources.time += 86_400_000;
    const before = (await rig.substrate.log()).size;
    const ann = await agent();
    const { id } = await ok<Changed>(ann.call('task_update', { do: 'add', title: 'x' }));
    const { lease } = await ok<Changed>(ann.call('task_update', { do: 'claim', id }));
    await ok(ann.call('task_update', { do: 'finish', id, lease }));
    await ann.call('task_update', { do: 'verify', id });
    const today = await asOwner<Today>(rig, 'seed_today');
    expect(today.day).toBe(new Date(rig.sources.time).toISOString().slice(0, 10));
    expect(today.receipts.first).toBe(before);
    expect(today.receipts).toMatchObject({ last: (await rig.substrate.log()).size - 1 });
    const own = today.people.find((each) => each.name === ann.as);
    expect(own).toMatchObject({
      says: ['added 1 task', 'claimed 1 task', 'finished 1 task'],
      refused: 1,
    });
    expect(today.refusals[0]).toMatchObject({
      who: ann.as,
      says: `was refused (forbidden): task.verify on task ${id}`,
    });
    // The sums are those of the log itself.
    const all = await receipts(rig, { from: before });
    expect(today.receipts.count).toBe(all.length);
    expect(today.refused).toBe(all.filter((each) => each.outcome === 'refused').length);
    ann.close();
  });

  interface Events {
    readonly events: readonly { readonly receipt: number; readonly says: string; readonly who: string }[];
    readonly after: number;
  }

  test('watch waits for what happens next and misses nothing', async () => {
    const start = await asOwner<Events>(rig, 'seed_watch', { limit: 1 });
    expect(start.events).toHaveLength(1);
    let answered = false;
    const waiting = asOwner<Events>(rig, 'seed_watch', { after: start.after, wait_ms: 40_000 }).then((events) => {
      answered = true;
      return events;
    });
    await until(() => rig.substrate.mail.isAwaited('*log'), 'somebody who waits');
    expect(answered).toBe(false);
    const { id } = await asOwner<Changed>(rig, 'task_update', { do: 'add', title: 'x' });
    const { events, after } = await waiting;
    expect(events).toMatchObject([{ receipt: start.after + 1, who: 'owner', says: `added task ${id}` }]);
    expect((await asOwner<Events>(rig, 'seed_watch', { after })).events).toEqual([]);
    expect(rig.substrate.mail.isAwaited('*log')).toBe(false);
    await asOwner(rig, 'task_update', { do: 'cancel', id });
    const past = await asOwner<Events>(rig, 'seed_watch', { after: start.after, limit: 200 });
    expect(past.events.map(({ says }) => says)).toEqual([`added task ${id}`, `cancelled task ${id}`]);
  });

  interface Todo {
    readonly items: readonly {
      readonly kind: string;
      readonly id: string;
      readonly todo: string;
      readonly says: string;
    }[];
  }

  test('todo lists what waits for the owner, and no longer once it is dealt with', async () => {
    const kinds = async (): Promise<Map<string, string>> => {
      const { items } = await asOwner<Todo>(rig, 'seed_todo');
      return new Map(items.map((item) => [`${item.kind} ${item.id}`, item.todo]));
    };
    const helper = await issue(rig, name('helper'), ['seed.status'], { expires_in_s: 86_400 });
    // As if it had been issued four days ago.
    await rig.substrate.operate({ action: 'note.claim', actor: OWNER }, (op) =>
      op.run('UPDATE substrate_grants SET created_at = created_at - 345600000 WHERE name = ?', helper.name),
    );
    const asked = await ok<{ request: string; hash: string }>(
      over(helper, 'membrane_request', { scopes: ['receipt.read'], reason: 'to look' }),
    );
    const bob = await agent();
    expect([...(await kinds()).keys()].filter((key) => key.startsWith('message '))).toEqual([]);
    const { thread } = await ok<{ thread: string }>(bob.call('bus_send', { to: 'owner', text: 'look at this' }));
    expect((await kinds()).get(`message ${thread}`)).toBe('seed bus tail');
    const { messages } = await asOwner<{ messages: readonly { id: string }[] }>(rig, 'bus_receive');
    await asOwner(rig, 'bus_ack', { ids: messages.map((each) => each.id) });
    expect((await kinds()).has(`message ${thread}`)).toBe(false);
    const { id } = await asOwner<Changed>(rig, 'task_update', { do: 'add', title: 'due', deadline: '2026-11-01' });
    const { lease } = await ok<Changed>(bob.call('task_update', { do: 'claim', id }));
    await ok(bob.call('task_update', { do: 'finish', id, lease }));
    const found = await kinds();
    expect(found.get(`request ${asked.request}`)).toBe(`seed requests show ${asked.request}`);
    expect(found.get(`task ${id}`)).toBe(`seed task verify ${id}`);
    expect(found.get(`overdue ${id}`)).toBe(`seed task show ${id}`);
    expect(found.has(`key ${helper.name}`)).toBe(true);
    await asOwner(rig, 'task_update', { do: 'verify', id });
    await asOwner(rig, 'request_deny', { id: asked.request, hash: asked.hash });
    await asOwner(rig, 'key_revoke', { key: helper.name });
    const left = await kinds();
    for (const gone of [`request ${asked.request}`, `task ${id}`, `overdue ${id}`, `key ${helper.name}`]) {
      expect([gone, left.has(gone)]).toEqual([gone, false]);
    }
    bob.close();
  });

  test('calls in doubt and dead letters wait for the owner', async () => {
    const [ann, bob] = [await agent(), await agent()];
    await ann.call('bus_send', { to: bob.as, text: 'x' });
    for (let n = 0; n < 5; n++) {
      const { messages } = await ok<{ messages: readonly { id: string }[] }>(bob.call('bus_receive'));
      await bob.call('bus_ack', { ids: messages.map((each) => each.id), nack: true, reason: 'cannot' });
    }
    await rig.substrate.operate(
      { action: 'note.claim', actor: { id: 'x', kind: 'human', grant: null, scopes: new Set() } },
      (op) =>
        op.run(
          `INSERT INTO substrate_calls (id, grant_id, actor, role, session, status, idempotency_key, input, created_at)
         VALUES ('c1', NULL, 'ann', 'worker', NULL, 'in_doubt', NULL, 'abc', ?)`,
          op.now,
        ),
    );
    const { items } = await asOwner<Todo>(rig, 'seed_todo');
    expect(items.filter(({ kind }) => kind === 'call')).toMatchObject([{ id: 'c1', todo: 'seed trace abc' }]);
    const [letter, ...more] = items.filter(({ kind }) => kind === 'dead_letter');
    expect(letter?.says).toContain('cannot');
    expect(more).toEqual([]);
    for (const each of [ann, bob]) each.close();
  });

  test('edits of the policy wait for the owner’s word where a passphrase makes it needed', async () => {
    for (const passphrase of ['correct horse battery', null]) {
      using dir = scratch();
      await using guarded = await openRig(dir.at('home'), { passphrase });
      const found = async (): Promise<string[]> =>
        (await asOwner<Todo>(guarded, 'seed_todo')).items
          .filter(({ kind }) => kind === 'policy')
          .map(({ todo }) => todo);
      expect(await found()).toEqual([]);
      edit(guarded.home, "INSERT INTO substrate_ceilings (scope, window, limit_micro_usd) VALUES ('seed', 'day', 1)");
      expect(await found()).toEqual(passphrase === null ? [] : ['seed policy ack']);
      if (passphrase === null) continue;
      await asOwner(guarded, 'policy_ack', {}, passphrase);
      expect(await found()).toEqual([]);
    }
  });

  test('they are at the owner’s door alone', async () => {
    const ann = await agent();
    for (const tool of ['seed_today', 'seed_watch', 'seed_todo']) {
      expect([tool, outcome(await ann.call(tool))]).toEqual([tool, expect.stringMatching(/not_found|rpc/)]);
      expect((await askOwner(rig, tool)).error).toBeUndefined();
    }
    ann.close();
  });
});
