/** Memory as agents, helpers and the owner meet it: through their own doors, and no further than they may. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { array, assert, asyncProperty, nat, string, stringMatching } from '../support/fast-check.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { QUERY_CHARS_MAX } from '../../src/substrate/memory/model.ts';
import type { AgentConnection, Rig, RpcAnswer } from '../doors/rig.ts';
import { asOwner, callOverHttp, connectAgent, issue, openRig, outcome, receipts } from '../doors/rig.ts';
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

/** Who asks, by whatever door. */
interface Someone {
  readonly name: string;
  readonly call: (tool: string, input?: object) => Promise<RpcAnswer>;
  readonly close: () => void;
}

async function agent(name: string): Promise<Someone & Pick<AgentConnection, 'call'>> {
  const { call, close } = await connectAgent(rig, name);
  return { name, close, call: (tool, input = {}) => call(tool, input) };
}

async function helper(name: string, scopes: readonly string[]): Promise<Someone> {
  const { key } = await issue(rig, name, scopes);
  return { name, close: () => {}, call: (tool, input = {}) => callOverHttp(rig, key, tool, input) };
}

/** What a tool answered, in the caller's word for its form. */
const said: <T>(answer: RpcAnswer) => Readonly<T> = ({ result }) => result?.structuredContent as never;

interface Results {
  readonly results: readonly { readonly id: string; readonly text: string; readonly space: string }[];
  readonly next_cursor: string | null;
}

async function search(who: Someone, query: string, more: object = {}): Promise<Results> {
  const answer = await who.call('memory_search', { query, ...more });
  expect(outcome(answer)).toBe('ok');
  return said<Results>(answer);
}

async function write(who: Someone, text: string, more: object = {}): Promise<string> {
  const answer = await who.call('memory_write', { text, ...more });
  expect([who.name, outcome(answer)]).toEqual([who.name, 'ok']);
  return said<{ id: string }>(answer).id;
}

describe('one agent', () => {
  test('writes, finds, reads with what is beside it, corrects, forgets; the owner restores', async () => {
    const ann = await agent('walk');
    await write(ann, 'We looked at three databases.');
    const id = await write(ann, 'We chose Kestrel because it needs no server.', {
      kind: 'decision',
      subject: 'database',
      source: 'session:7',
      at: '2026-03-01',
    });
    const found = await search(ann, 'why did we choose kestrel?', { neighbours: 1 });
    expect(found.results[0]).toMatchObject({
      id,
      text: 'We chose Kestrel because it needs no server.',
      space: 'private',
      kind: 'decision',
      subject: 'database',
      source: 'session:7',
      by: 'walk',
      at: '2026-03-01T00:00:00.000Z',
      matched: true,
      cut: false,
      before: [{ text: 'We looked at three databases.' }],
      after: [],
    });
    const newer = await write(ann, 'We moved from Kestrel to Heron.', { supersedes: id });
    expect(said(await ann.call('memory_get', { id }))).toMatchObject({ memory: { superseded_by: newer } });
    expect(said(await ann.call('memory_get', { id: newer, neighbours: 3 }))).toMatchObject({
      memory: { supersedes: id },
      before: [{ text: 'We looked at three databases.' }, { id }],
    });
    expect(outcome(await ann.call('memory_forget', { id: newer }))).toBe('ok');
    expect(outcome(await ann.call('memory_get', { id: newer }))).toBe('not_found');
    await asOwner(rig, 'memory_restore', { id: newer });
    expect(outcome(await ann.call('memory_get', { id: newer }))).toBe('ok');
    await asOwner(rig, 'memory_erase', { id: newer });
    expect(outcome(await ann.call('memory_get', { id: newer }))).toBe('not_found');
    ann.close();
  });

  test('keeps its private space under another name, and another by its name does not get it', async () => {
    const first = await agent('kept');
    await write(first, 'mine is the albatross');
    await asOwner(rig, 'agent_rename', { agent: 'kept', name: 'renamed' });
    first.close();
    const [again, other] = [await agent('renamed'), await agent('kept')];
    expect((await search(again, 'albatross')).results.length).toBe(1);
    expect((await search(other, 'albatross')).results).toEqual([]);
    // The owner sees whose it is, by the name that finds it.
    const { spaces } = await asOwner<{ spaces: readonly { name: string }[] }>(rig, 'memory_list');
    expect(spaces.map((space) => space.name)).toContain('private:renamed');
    const { memories } = await asOwner<{ memories: readonly { space: string; text: string }[] }>(rig, 'memory_list', {
      space: 'private:renamed',
    });
    expect(memories).toMatchObject([{ space: 'private:renamed', text: 'mine is the albatross' }]);
    for (const each of [again, other]) each.close();
  });

  test('cuts long texts around what was asked, and pages join without gap or repetition', async () => {
    const ann = await agent('pages');
    const long = `${'Nothing of interest here. '.repeat(300)}The lemur lives upstairs. ${'More of nothing. '.repeat(300)}`;
    await write(ann, long, { thread: 'long' });
    const [result] = (await search(ann, 'where does the lemur live?')).results;
    expect(result).toMatchObject({ cut: true });
    expect(result?.text).toContain('lemur lives upstairs');
    expect(result?.text.length).toBeLessThan(2_100);
    for (let nr = 0; nr < 23; nr++) await write(ann, `ibex ${nr} ${'goat '.repeat(nr)}`, { thread: `t${nr}` });
    const ids: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Results = await search(ann, 'ibex', { limit: 5, ...(cursor === null ? {} : { cursor }) });
      ids.push(...page.results.map(({ id }) => id));
      // What comes in between does not move the pages.
      await write(ann, `ibex late ${ids.length}`);
      cursor = page.next_cursor;
    } while (cursor !== null);
    expect([ids.length, new Set(ids).size]).toEqual([23, 23]);
    expect(outcome(await ann.call('memory_search', { query: 'ibex', cursor: 'x' }))).toBe('invalid_input');
    ann.close();
  });

  test('is told by seed_start what is remembered of its topic, and nothing else', async () => {
    const ann = await agent('starter');
    await write(ann, 'The pangolin build fails on Tuesdays.');
    await write(ann, 'Cake is in the fridge.', { thread: 'other' });
    const told = said<{ memories: readonly string[] }>(
      await ann.call('seed_start', { topic: 'fix the pangolin build' }),
    );
    expect(told.memories.length).toBe(1);
    expect(told.memories[0]).toContain('The pangolin build fails on Tuesdays.');
    expect(said<{ memories: readonly string[] }>(await ann.call('seed_start')).memories).toEqual([]);
    ann.close();
  });
});

test('50 writes at once over 50 connections: 50 acknowledged, 50 stored, 50 found', async () => {
  const agents = await Promise.all(Array.from({ length: 50 }, (_, nr) => agent(`many-${nr}`)));
  const texts = agents.map((_, nr) => `Quagga number ${nr} has the mark k${nr}z.`);
  const ids = await Promise.all(agents.map((who, nr) => write(who, texts[nr] ?? '', { space: 'shared' })));
  expect(new Set(ids).size).toBe(50);
  const listed = await asOwner<{ memories: readonly { text: string }[] }>(rig, 'memory_list', {
    space: 'shared',
    limit: 200,
  });
  const stored = listed.memories.map(({ text }) => text).filter((text) => text.startsWith('Quagga'));
  expect(stored.toSorted()).toEqual(texts.toSorted());
  const found = await Promise.all(
    agents.map(async (who, nr) => (await search(who, `Who has the mark k${nr}z?`)).results[0]?.text),
  );
  expect(found).toEqual(texts);
  const together = await search(agents[0]!, 'quagga', { space: 'shared', limit: 50 });
  expect(together.results.length).toBe(50);
  for (const each of agents) each.close();
});

describe('who sees what', () => {
  /** In every space one memory, which has all words that anybody asks for. */
  const WORDS = 'okapi matrix';

  test('the matrix of actors and spaces, by every way that leads to memories', async () => {
    const [ann, bob] = [await agent('ann'), await agent('bob')];
    const rows = await rig.substrate.read((db) =>
      db.all<{ id: string; name: string }>('SELECT id, name FROM substrate_grants'),
    );
    const idOf = (name: string): string => rows.find((row) => row.name === name)?.id ?? name;
    const session = `session:${said<{ session_id: string }>(await ann.call('session_open', { goal: 'matrix' })).session_id}`;
    const team = await helper('team-only', ['memory.read:team', 'memory.write:team']);
    const reader = await helper('reads-shared', ['memory.read:shared']);
    const writer = await helper('writes-team', ['memory.write:team']);
    const own = await helper('own', ['memory.read:private', 'memory.write:private']);
    const held = await helper('held', [`memory.read:${session}`]);
    const prefix = await helper('prefix', ['memory.read:tea', 'memory.read:teams', 'memory.write:shared']);
    const actors = [ann, bob, team, reader, writer, own, held, prefix];

    const spaces: Record<string, string> = {};
    const put = async (who: Someone | null, label: string, space: string): Promise<void> => {
      const input = { space, text: `${WORDS} ${label}`, thread: label };
      spaces[label] =
        who === null
          ? (await asOwner<{ id: string }>(rig, 'memory_write', input)).id
          : said<{ id: string }>(await who.call('memory_write', input)).id;
    };
    await put(ann, 'ann', 'private');
    await put(bob, 'bob', 'private');
    await put(own, 'own', 'private');
    await put(null, 'owner', 'private');
    await put(ann, 'shared', 'shared');
    await put(team, 'team', 'team');
    await put(null, 'other', 'other');
    await put(ann, 'session', session);

    const reads: Readonly<Record<string, readonly string[]>> = {
      ann: ['ann', 'session', 'shared'],
      bob: ['bob', 'shared'],
      'team-only': ['team'],
      'reads-shared': ['shared'],
      'writes-team': [],
      own: ['own'],
      held: ['session'],
      prefix: [],
    };
    const writes: Readonly<Record<string, readonly string[]>> = {
      ann: ['ann', 'session', 'shared'],
      bob: ['bob', 'shared'],
      'team-only': ['team'],
      'reads-shared': [],
      'writes-team': ['team'],
      own: ['own'],
      held: [],
      prefix: ['shared'],
    };
    const nameOf: Readonly<Record<string, string>> = {
      ann: `private:${idOf('ann')}`,
      bob: 'private:bob',
      own: 'private:own',
      owner: 'private:owner',
      shared: 'shared',
      team: 'team',
      other: 'other',
      session,
    };
    const labelsIn = (text: string): string[] =>
      Object.keys(spaces).filter(
        (label) => text.includes(`${WORDS} ${label}"`) || text.includes(`${WORDS} ${label}\n`),
      );
    for (const who of actors) {
      const may = reads[who.name] ?? [];
      const mayRead = may.length > 0 || who.name === 'prefix';
      const all = await who.call('memory_search', { query: WORDS, limit: 50, neighbours: 3 });
      expect([who.name, outcome(all)]).toEqual([who.name, mayRead ? 'ok' : 'forbidden']);
      if (mayRead) {
        const texts = said<Results>(all).results.map(({ text }) => text);
        expect([who.name, texts.toSorted()]).toEqual([who.name, may.map((label) => `${WORDS} ${label}`)]);
      }
      const start = said<{ memories: readonly string[] }>(await who.call('seed_start', { topic: WORDS }));
      const told = start.memories.map((line) => line.split(`${WORDS} `)[1] ?? '').toSorted();
      expect([who.name, told]).toEqual([who.name, [...may]]);
      for (const [label, id] of Object.entries(spaces)) {
        const pair = `${who.name} and ${label}`;
        const got = outcome(await who.call('memory_get', { id, neighbours: 10 }));
        expect([pair, got]).toEqual([pair, may.includes(label) ? 'ok' : mayRead ? 'not_found' : 'forbidden']);
        const isOwn = label === who.name;
        const space = isOwn ? 'private' : (nameOf[label] ?? label);
        const there = await who.call('memory_search', { query: WORDS, space });
        const fits = may.includes(label);
        expect([pair, outcome(there)]).toEqual([pair, fits ? 'ok' : 'forbidden']);
        if (fits) expect(said<Results>(there).results.map(({ id: one }) => one)).toEqual([id]);
        // Writing, forgetting and superseding, by who may not.
        if (!(writes[who.name] ?? []).includes(label)) {
          const refused = ['forbidden', 'not_found'];
          for (const answer of [
            await who.call('memory_write', { space, text: 'intruder' }),
            await who.call('memory_forget', { id }),
          ]) {
            expect([pair, refused.includes(outcome(answer))]).toEqual([pair, true]);
          }
          if ((writes[who.name] ?? []).length > 0) {
            const mine = writes[who.name]?.[0] === who.name ? 'private' : (nameOf[writes[who.name]?.[0] ?? ''] ?? '');
            const taken = await who.call('memory_write', { space: mine, text: 'usurper', supersedes: id });
            expect([pair, outcome(taken)]).toEqual([pair, 'not_found']);
          }
        }
      }
      // The owner's ways are shut to every grant, whatever it may.
      for (const tool of ['memory_list', 'memory_export', 'memory_import', 'memory_restore', 'memory_erase']) {
        expect([who.name, tool, ['not_found', 'rpc -32602'].includes(outcome(await who.call(tool)))]).toEqual([
          who.name,
          tool,
          true,
        ]);
      }
    }
    // No receipt tells a text to anybody who reads receipts.
    for (const answer of await receipts(rig)) expect(labelsIn(JSON.stringify(answer))).toEqual([]);
    // The owner sees all of it, by each of the owner's ways.
    const everything = Object.keys(spaces)
      .map((label) => `${WORDS} ${label}`)
      .toSorted();
    const textsOf = (list: readonly { readonly text: string }[]): string[] =>
      list
        .map(({ text }) => text)
        .filter((text) => text.startsWith(WORDS))
        .toSorted();
    expect(textsOf((await asOwner<Results>(rig, 'memory_search', { query: WORDS, limit: 50 })).results)).toEqual(
      everything,
    );
    for (const tool of ['memory_list', 'memory_export']) {
      const { memories } = await asOwner<{ memories: readonly { text: string }[] }>(rig, tool, {});
      expect([tool, textsOf(memories)]).toEqual([tool, everything]);
    }
    // A key removed between two calls is out.
    await asOwner(rig, 'key_revoke', { key: 'team-only' });
    expect(outcome(await team.call('memory_search', { query: WORDS }))).not.toBe('ok');
    for (const each of actors) each.close();
  });

  test('what a helper reads is on record, without what it was', async () => {
    const one = await helper('on-record', ['memory.read:shared', 'memory.write:shared']);
    const id = await write(one, 'recorded kiwi', { space: 'shared' });
    await one.call('memory_get', { id });
    const last = (await receipts(rig)).findLast(({ action }) => action === 'memory.get');
    expect(last).toMatchObject({ action: 'memory.get', subject: { type: 'memory', id }, outcome: 'ok' });
    expect(JSON.stringify(last)).not.toContain('kiwi');
  });

  test('memories are read in one place, whose statements all have the filter', () => {
    const folder = join(import.meta.dirname, '..', '..', 'src');
    const readers = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .filter((name) =>
        /(?:FROM|JOIN)\s+substrate_memor(?:ies|y_index)\b/.test(readFileSync(join(folder, name), 'utf8')),
      );
    expect(readers.map((name) => name.replaceAll('\\', '/')).toSorted()).toEqual([
      'substrate/memory/forget.ts',
      'substrate/memory/look.ts',
      'substrate/memory/search.ts',
      'substrate/memory/write.ts',
    ]);
    for (const name of ['look', 'search']) {
      const source = readFileSync(join(folder, 'substrate', 'memory', `${name}.ts`), 'utf8');
      const statements = source.match(/[`'](?:SELECT|\(SELECT)[^`']*substrate_memor(?:ies|y_index)[^`']*[`']/g) ?? [];
      expect(statements.length).toBeGreaterThan(2);
      // LIST is completed where it is used.
      for (const statement of statements) {
        expect([statement, /WITHIN\(/.test(statement) || statement.includes('IS NOT NULL) = ?')]).toEqual([
          statement,
          true,
        ]);
      }
      expect(source).not.toMatch(/db\.(?:all|get)[^;]*substrate_memor(?:ies|y_index)\b/);
    }
  });
});

describe('whatever is asked', () => {
  const RECORDS = 60;
  let asker: Someone;

  beforeAll(async () => {
    asker = await agent('asker');
    for (let nr = 0; nr < RECORDS; nr++) {
      await write(asker, `Entry ${nr} of the ledger, about the ${['heron', 'stork', 'crane'][nr % 3]}.`, {
        thread: `e${nr}`,
      });
    }
  });

  afterAll(() => asker.close());

  const syntax = [
    '"',
    '""',
    "'",
    '*',
    '**',
    '(',
    ')',
    '()',
    'AND',
    'OR',
    'NOT',
    'NEAR',
    'AND OR NOT',
    'NEAR(qq zz, 500)',
    'heron NOT heron',
    'text:heron',
    '{text}: heron',
    '- heron',
    '^heron',
    'heron*',
    'a" OR "b',
    "'; DROP TABLE substrate_memories; --",
    '%',
    '_',
    '\\',
    '\0',
    'heron\0stork',
    '\n\t',
    '   ',
    '',
    '!?.,;:',
    '<script>',
    '${x}',
    'ﬀ',
    '\u202e',
    '\u{1f9d1}\u200d\u{1f4bb}',
    'ǅ',
    'İstanbul',
    'ß',
    'ｈｅｒｏｎ',
    'ก็',
    'क्षि',
    'العربية',
    'עברית',
    '한국어',
    '日本語',
    '𝒽ℯ𝓇ℴ𝓃',
    'ᚠᚢᚦ',
    '\u{10ffff}',
    '\ufffd',
    '\ufeff',
  ];

  test.each(syntax)('%j is text, never syntax', async (query) => {
    const { results } = await search(asker, query, { limit: 50 });
    expect(results.length).toBeLessThan(RECORDS);
    if (!/heron|ｈｅｒｏｎ|𝒽/u.test(query)) expect(results.map(({ text }) => text)).toEqual([]);
    else for (const { text } of results) expect(text).toMatch(/heron|stork/);
  });

  test('a question of nothing but stop words is asked all the same, and finds those words alone', async () => {
    const { results } = await search(asker, 'of the', { limit: 50 });
    expect(results.length).toBe(50);
    expect((await search(asker, 'who was it that they were', { limit: 50 })).results).toEqual([]);
  });

  test('a question of 100 kB, of words or of none, takes no longer than it may', async () => {
    for (const query of [
      'heron '.repeat(17_000),
      '"('.repeat(50_000),
      '漢'.repeat(100_000),
      'x'.repeat(QUERY_CHARS_MAX),
    ]) {
      const { results } = await search(asker, query, { limit: 50 });
      expect(results.length).toBeLessThan(RECORDS);
    }
    const words = Array.from({ length: 15_000 }, (_, nr) => `w${nr}`).join(' ');
    expect((await search(asker, `heron ${words}`)).results[0]?.text).toContain('heron');
    expect(outcome(await asker.call('memory_search', { query: 'x'.repeat(QUERY_CHARS_MAX + 1) }))).toBe(
      'invalid_input',
    );
  });

  test('any text at all: no failure, never everything', async () => {
    await assert(
      asyncProperty(string({ unit: 'binary', maxLength: 300 }), async (query) => {
        const answer = await asker.call('memory_search', { query, limit: 50 });
        expect(outcome(answer)).toBe('ok');
        expect(said<Results>(answer).results.length).toBeLessThan(50);
      }),
      { numRuns: 150, seed: 7 },
    );
  });

  test('whatever is written is found again by any of its words', async () => {
    const word = stringMatching(/^[a-zà-öа-я]{5,12}$/u);
    await assert(
      asyncProperty(array(word, { minLength: 1, maxLength: 6 }), nat(), async (words, nr) => {
        const text = `${words.join(' ')} unique${nr}`;
        const id = await write(asker, text, { thread: `w${nr}` });
        for (const query of [`unique${nr}`, `"${words[0]}" unique${nr}`, text]) {
          const found = await search(asker, query, { limit: 50 });
          expect(found.results.map((result) => result.id)).toContain(id);
        }
      }),
      { numRuns: 25, seed: 3 },
    );
  });
});
