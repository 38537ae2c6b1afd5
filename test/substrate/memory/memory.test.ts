/** Memories: written once, found again by whoever may, corrected, forgotten, restored, gone. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eraseDue } from '../../../src/substrate/memory/forget.ts';
import { getMemory, listMemories, neighboursOf } from '../../../src/substrate/memory/look.ts';
import { eraseNow, forget, rememberAll, restore, sweep } from '../../../src/substrate/memory/memory.ts';
import {
  FORGOTTEN_MS,
  HELPER_MEMORIES_MAX,
  memoryId,
  memoryNr,
  SPACE_MEMORIES_MAX,
  TEXT_BYTES_MAX,
  TOGETHER_MS,
} from '../../../src/substrate/memory/model.ts';
import { reachOf, scan } from '../../../src/substrate/memory/spaces.ts';
import type { SqliteDriver } from '../../../src/substrate/store/connection.ts';
import type { TestSeed } from '../../support/home.ts';
import { allReceipts, codeOf, DRIVERS, openAgain, openSeed, verifyExport } from '../../support/home.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import { agent, find, helper, note, OWNER } from './rig.ts';

describe.each(DRIVERS)('memory on %s', (driver: SqliteDriver) => {
  let dir: Scratch;
  let seed: TestSeed;

  beforeEach(async () => {
    dir = scratch();
    seed = await openSeed(dir, { driver });
  });

  afterEach(async () => {
    await seed.substrate.close();
    dir[Symbol.dispose]();
  });

  it('is found by any of its words, in any form, and says where it comes from', async () => {
    const { substrate, sources } = seed;
    const ann = await agent(substrate, 'ann');
    const { nr, receipt } = await note(substrate, ann, 'The deployment runs every Friday at noon.', {
      kind: 'fact',
      subject: 'Release train',
      source: 'session:42',
      at: Date.UTC(2026, 4, 8),
    });
    await note(substrate, ann, 'Bananas are yellow.');
    for (const query of [
      'deployments on fridays',
      'when does it RUN?',
      'release trains',
      'what happened in May 2026',
    ]) {
      expect([query, (await find(substrate, ann, query))[0]]).toEqual([
        query,
        'The deployment runs every Friday at noon.',
      ]);
    }
    expect(await find(substrate, ann, 'submarine')).toEqual([]);
    const found = await substrate.read((db) => getMemory(db, ann, nr));
    expect(found).toMatchObject({
      writer: ann.grant,
      writer_name: 'ann',
      receipt,
      source: 'session:42',
      kind: 'fact',
      at: Date.UTC(2026, 4, 8),
      written_at: sources.time,
      space: 'private',
    });
    expect((await allReceipts(substrate))[receipt]).toMatchObject({
      action: 'memory.write',
      subject: { type: 'memory', id: memoryId(nr) },
      input: found.hash,
      outcome: 'ok',
    });
  });

  it('keeps no text in receipts', async () => {
    const { substrate } = seed;
    const ann = await agent(substrate, 'ann');
    const { nr } = await note(substrate, ann, 'xylophone', { subject: 'zeppelin', source: 'quokka', key: 'narwhal' });
    await substrate.read((db) => getMemory(db, ann, nr));
    await forget(substrate, ann, nr);
    expect(JSON.stringify(await allReceipts(substrate))).not.toMatch(/xylophone|zeppelin|quokka|narwhal/);
  });

  it('filters by kind, subject and time', async () => {
    const { substrate } = seed;
    const day = (nr: number): number => Date.UTC(2026, 0, nr);
    await note(substrate, OWNER, 'tea one', { kind: 'fact', subject: 'Ann', at: day(1) });
    await note(substrate, OWNER, 'tea two', { kind: 'wish', subject: 'Ann', at: day(2) });
    await note(substrate, OWNER, 'tea three', { kind: 'fact', subject: 'Bob', at: day(3) });
    const by = async (filter: object): Promise<string[]> =>
      (await find(substrate, OWNER, 'tea', { filter })).toSorted();
    expect(await by({ kind: 'fact' })).toEqual(['tea one', 'tea three']);
    expect(await by({ subject: 'ann' })).toEqual(['tea one', 'tea two']);
    expect(await by({ since: day(2), until: day(2) })).toEqual(['tea two']);
    expect(await by({ kind: 'none' })).toEqual([]);
  });

  it('finds every part of a text in scripts without spaces, and symbols', async () => {
    const { substrate } = seed;
    const texts = [
      '明日の会議は東京で開かれます',
      '我喜欢在北京吃烤鸭',
      'ประชุมพรุ่งนี้ที่กรุงเทพ',
      'Встреча завтра в Москве',
      'الاجتماع غدا في القاهرة',
      '내일 서울에서 회의가 있습니다',
      'party 🎉 tonight',
      'rare 𠮷 letter',
    ];
    for (const text of texts) await note(substrate, OWNER, text);
    await note(substrate, OWNER, 'something else entirely');
    for (const [query, text] of [
      ['東京', 0],
      ['会議', 0],
      ['議', 0],
      ['開かれ', 0],
      ['す', 0],
      ['烤鸭', 1],
      ['北京', 1],
      ['鸭', 1],
      ['กรุงเทพ', 2],
      ['москве', 3],
      ['القاهرة', 4],
      ['서울에서', 5],
      ['🎉', 6],
      ['𠮷', 7],
    ] as const) {
      expect([query, (await find(substrate, OWNER, query))[0]]).toEqual([query, texts[text]]);
    }
  });

  it('shows what stands beside it in its thread, and nothing from another day or writer', async () => {
    const { substrate, sources } = seed;
    const [ann, bob] = [await agent(substrate, 'ann'), await agent(substrate, 'bob')];
    for (const text of ['one', 'two']) await note(substrate, ann, text, { space: 'shared' });
    await note(substrate, bob, 'between', { space: 'shared' });
    const three = await note(substrate, ann, 'three', { space: 'shared' });
    await note(substrate, ann, 'four', { space: 'shared' });
    sources.time += TOGETHER_MS + 1;
    await note(substrate, ann, 'next day', { space: 'shared' });
    const beside = await substrate.read(async (db) => {
      const { before, after } = await neighboursOf(db, bob, await getMemory(db, bob, three.nr), 3);
      return { before: before.map(({ text }) => text), after: after.map(({ text }) => text) };
    });
    expect(beside).toEqual({ before: ['one', 'two'], after: ['four'] });
    // A named thread goes on over any pause.
    const first = await note(substrate, ann, 'chapter one', { thread: 'book' });
    sources.time += 10 * TOGETHER_MS;
    await note(substrate, ann, 'chapter two', { thread: 'book' });
    const { after } = await substrate.read(async (db) => neighboursOf(db, ann, await getMemory(db, ann, first.nr), 1));
    expect(after.map(({ text }) => text)).toEqual(['chapter two']);
  });

  it('is corrected by another, and stays findable as what was corrected', async () => {
    const { substrate } = seed;
    const ann = await agent(substrate, 'ann');
    const old = await note(substrate, ann, 'The port is 8080.');
    const other = await note(substrate, ann, 'elsewhere', { space: 'shared' });
    const fresh = await note(substrate, ann, 'The port is 9090.', { supersedes: old.nr });
    expect(await find(substrate, ann, 'port')).toEqual(['The port is 9090.', 'The port is 8080.']);
    expect(await substrate.read((db) => getMemory(db, ann, old.nr))).toMatchObject({ superseded_by: fresh.nr });
    expect(await codeOf(note(substrate, ann, 'again', { supersedes: old.nr }))).toBe('conflict');
    expect(await codeOf(note(substrate, ann, 'other space', { supersedes: other.nr }))).toBe('not_found');
    await forget(substrate, ann, fresh.nr);
    expect(await substrate.read((db) => getMemory(db, ann, old.nr))).toMatchObject({ superseded_by: null });
    await restore(substrate, OWNER, fresh.nr);
    expect(await substrate.read((db) => getMemory(db, ann, old.nr))).toMatchObject({ superseded_by: fresh.nr });
  });

  it('is written once under a key, and something else under it is a conflict', async () => {
    const { substrate, sources } = seed;
    const [ann, bob] = [await agent(substrate, 'ann'), await agent(substrate, 'bob')];
    const write = (text: string, more = {}) => note(substrate, ann, text, { key: 'k', ...more });
    const first = await write('once');
    sources.time += 1_000;
    expect(await write('once')).toMatchObject({ nr: first.nr, receipt: first.receipt, repeated: true });
    const racing = await Promise.all([
      note(substrate, ann, 'race', { key: 'r' }),
      note(substrate, ann, 'race', { key: 'r' }),
    ]);
    expect(new Set(racing.map(({ nr }) => nr)).size).toBe(1);
    for (const more of [{ kind: 'x' }, { subject: 'x' }, { at: 5 }, { space: 'shared' }]) {
      expect([more, await codeOf(write('once', more))]).toEqual([more, 'conflict']);
    }
    expect(await codeOf(write('twice'))).toBe('conflict');
    expect((await note(substrate, bob, 'once', { key: 'k' })).nr).not.toBe(first.nr);
    await forget(substrate, ann, first.nr);
    expect(await codeOf(write('once'))).toBe('content_erased');
  });

  it('has limits: of a text, of a space, of a helper', async () => {
    const { substrate } = seed;
    const ann = await helper(substrate, 'ann', ['memory.write:private']);
    await note(substrate, ann, 'x'.repeat(TEXT_BYTES_MAX));
    expect(await codeOf(note(substrate, ann, 'ä'.repeat(TEXT_BYTES_MAX / 2 + 1)))).toBe('too_large');
    const set = (sql: string, value: number): Promise<unknown> =>
      substrate.operate({ action: 'test.set', actor: OWNER }, (op) => op.run(sql, value));
    await set('UPDATE substrate_memory_writers SET records = ?', HELPER_MEMORIES_MAX);
    expect(await codeOf(note(substrate, ann, 'one more'))).toBe('memory_full');
    await set('UPDATE substrate_memory_writers SET records = ?', HELPER_MEMORIES_MAX - 1);
    await note(substrate, ann, 'the last one');
    await set('UPDATE substrate_memory_spaces SET records = ?', SPACE_MEMORIES_MAX);
    expect(await codeOf(note(substrate, ann, 'one more'))).toBe('memory_full');
    expect(await find(substrate, OWNER, 'more')).toEqual([]);
  });

  it('is imported in batches under one receipt, each once', async () => {
    const { substrate } = seed;
    const drafts = ['a', 'b', 'c'].map((text) => ({ space: 'shared', text: `imported ${text}`, key: text }));
    const first = await rememberAll(substrate, OWNER, drafts.slice(0, 2));
    const second = await rememberAll(substrate, OWNER, drafts);
    expect(second.value.map(({ repeated }) => repeated)).toEqual([true, true, false]);
    expect((await allReceipts(substrate))[second.seq]?.detail).toMatchObject({ memories: 1, repeated: 2 });
    expect((await find(substrate, OWNER, 'imported')).length).toBe(3);
    expect(first.value.map(({ receipt }) => receipt)).toEqual([first.seq, first.seq]);
    // All, or none.
    const bad = [...drafts, { space: 'shared', text: 'x'.repeat(TEXT_BYTES_MAX + 1) }];
    expect(await codeOf(rememberAll(substrate, OWNER, [{ space: 'shared', text: 'not kept' }, ...bad]))).toBe(
      'too_large',
    );
    expect(await find(substrate, OWNER, 'kept')).toEqual([]);
  });

  describe('forgetting', () => {
    it('hides at once, also from what stands beside it, and can be undone for 7 days', async () => {
      const { substrate, sources } = seed;
      const ann = await agent(substrate, 'ann');
      await note(substrate, ann, 'Before it.');
      const { nr } = await note(substrate, ann, 'The secret is pomegranate.');
      await note(substrate, ann, 'After it.');
      expect((await find(substrate, ann, 'pomegranate')).length).toBe(3);
      await forget(substrate, ann, nr);
      expect(await find(substrate, ann, 'pomegranate')).toEqual([]);
      expect(await codeOf(substrate.read((db) => getMemory(db, ann, nr)))).toBe('not_found');
      expect(await codeOf(forget(substrate, ann, nr))).toBe('not_found');
      const forgotten = (limit = 5) => substrate.read((db) => listMemories(db, OWNER, { forgotten: true, limit }));
      expect((await forgotten()).map((memory) => memory.nr)).toEqual([nr]);
      sources.time += FORGOTTEN_MS - 1;
      expect(await eraseDue(substrate)).toBe(0);
      await restore(substrate, OWNER, nr);
      expect((await find(substrate, ann, 'pomegranate'))[0]).toBe('The secret is pomegranate.');
      expect(await codeOf(restore(substrate, OWNER, nr))).toBe('conflict');
      await forget(substrate, ann, nr);
      sources.time += FORGOTTEN_MS;
      expect(await eraseDue(substrate)).toBe(1);
      expect(await codeOf(restore(substrate, OWNER, nr))).toBe('not_found');
      expect(await forgotten()).toEqual([]);
    });

    it.each([
      ['at the owner’s word', 'now'],
      ['when 7 days are over', 'due'],
    ])('erases %s: found nowhere on the disk, and its receipt still verifies', async (_name, how) => {
      const { substrate, sources, home } = seed;
      const needles = [
        'Zanzibarquux',
        'klaxonfjord',
        'zanzibarquux',
        'subjektfjord',
        'sourcefjord',
        'keyfjord',
        'threadfjord',
      ];
      // Terms share their beginnings in the index; the end of one stands there as it is.
      const inIndex = async (end: string): Promise<number> =>
        (
          await substrate.read((db) =>
            db.all('SELECT id FROM substrate_memory_index_data WHERE instr(block, ?) > 0', Buffer.from(end)),
          )
        ).length;
      const fill = async (count: number): Promise<void> => {
        for (let n = 0; n < count; n++) await note(substrate, OWNER, `Filler number ${n} about ${n * 7} things.`);
      };
      await fill(150);
      const written = await note(substrate, OWNER, `Zanzibarquux klaxonfjord ${'and much more of it '.repeat(40)}`, {
        subject: 'subjektfjord',
        source: 'sourcefjord',
        key: 'keyfjord',
        thread: 'threadfjord',
      });
      await fill(150);
      const { salt } = await substrate.read((db) => getMemory(db, OWNER, written.nr));
      // The control: before, the same search does find it.
      for (const needle of ['Zanzibarquux', 'klaxonfjord', salt]) expect(filesWith(home, [needle])).not.toEqual([]);
      expect(await inIndex('zibarquux')).toBeGreaterThan(0);
      if (how === 'now') await eraseNow(substrate, OWNER, written.nr);
      else {
        await forget(substrate, OWNER, written.nr);
        sources.time += FORGOTTEN_MS;
        await sweep(substrate);
      }
      expect(filesWith(home, [...needles, 'zibarquux', salt])).toEqual([]);
      expect(await inIndex('zibarquux')).toBe(0);
      await fill(50);
      expect(filesWith(home, [...needles, salt])).toEqual([]);
      const receipt = (await allReceipts(substrate))[written.receipt];
      expect(receipt).toMatchObject({ action: 'memory.write', outcome: 'ok' });
      const out = dir.at('out');
      expect(await verifyExport(substrate, { out, pinnedRoot: seed.pinnedRoot })).toMatchObject({ verdict: 'proven' });
      expect(await substrate.check()).toEqual([]);
      // Under its key something can be written anew.
      expect((await note(substrate, OWNER, 'anew', { key: 'keyfjord' })).repeated).toBe(false);
    });

    it('leaves nothing in the index, and no more to find there than was written', async () => {
      const { substrate } = seed;
      const count = async (word: string): Promise<number> =>
        (
          await substrate.read((db) =>
            db.all('SELECT rowid FROM substrate_memory_index WHERE substrate_memory_index MATCH ?', word),
          )
        ).length;
      const { nr } = await note(substrate, OWNER, 'walrus 東京都 🎉');
      expect(await count('walrus')).toBe(1);
      await forget(substrate, OWNER, nr);
      for (const word of ['walrus', '"東京"', '"京都"', '"都"']) expect([word, await count(word)]).toEqual([word, 0]);
      await restore(substrate, OWNER, nr);
      expect(await count('walrus')).toBe(1);
    });
  });

  it('is there after a start, and an altered text is not shown as what was written', async () => {
    const { substrate, home } = seed;
    const { nr } = await note(substrate, OWNER, 'kept over a start');
    await substrate.close();
    await using again = await openAgain(home, { driver });
    expect(await find(again.substrate, OWNER, 'kept')).toEqual(['kept over a start']);
    await again.substrate.operate({ action: 'test.alter', actor: OWNER }, (op) =>
      op.run('UPDATE substrate_memories SET text = ? WHERE nr = ?', 'altered', nr),
    );
    expect(await codeOf(again.substrate.read((db) => getMemory(db, OWNER, nr)))).toBe('store_corrupt');
  });

  it('can be forgotten and erased though its row was altered in the database', async () => {
    const { substrate } = seed;
    const written = await Promise.all(
      ['first pelican', 'second pelican', 'third pelican'].map((text) => note(substrate, OWNER, text)),
    );
    await substrate.operate({ action: 'test.alter', actor: OWNER }, (op) =>
      op.run(
        'UPDATE substrate_memories SET text = ?, subject = ?, at = 5 WHERE nr = ?',
        'other words',
        'x',
        written[1]!.nr,
      ),
    );
    await forget(substrate, OWNER, written[1]!.nr);
    await eraseNow(substrate, OWNER, written[1]!.nr);
    expect(await substrate.check()).toEqual([]);
    expect((await find(substrate, OWNER, 'pelican')).toSorted()).toEqual(['first pelican', 'third pelican']);
    await note(substrate, OWNER, 'fourth pelican');
    expect((await find(substrate, OWNER, 'pelican')).length).toBe(3);
  });

  it('is read by no statement without the filter, or with two', async () => {
    const { substrate } = seed;
    const ann = await agent(substrate, 'ann');
    await note(substrate, OWNER, 'the owner’s own');
    await note(substrate, ann, 'hers');
    const read = (sql: string): Promise<readonly object[]> =>
      substrate.read(async (db) => scan(db, await reachOf(db, ann, { verb: 'read' }), { sql }));
    const select = 'SELECT text FROM substrate_memories m';
    // The control: with the filter it is hers alone; the same without would be everybody's.
    expect(await read(`${select} WHERE WITHIN(m.nr)`)).toEqual([{ text: 'hers', space: 'private' }]);
    expect((await substrate.read((db) => db.all(select))).length).toBe(2);
    await expect(read(select)).rejects.toThrow('filtered once');
    await expect(read(`${select} WHERE WITHIN(m.nr) OR WITHIN(m.place)`)).rejects.toThrow('filtered once');
  });

  it('has ids that are what they say', () => {
    expect(memoryNr(memoryId(3 * 2 ** 32 + 17))).toBe(3 * 2 ** 32 + 17);
    for (const bad of ['', '1', '1.', '.1', '1.2.3', '-1.2', '1.4294967296', '01.2', '1.02', 'a.b', '1e3.2']) {
      expect(() => memoryNr(bad)).toThrow('not the id');
    }
  });
});

function filesWith(folder: string, needles: readonly (string | Uint8Array)[]): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .filter((entry) => {
      const bytes = readFileSync(join(entry.parentPath, entry.name));
      return needles.some((needle) => bytes.includes(typeof needle === 'string' ? needle : Buffer.from(needle)));
    })
    .map(({ name }) => name);
}
