/** The checkpoint kept outside the database: what it finds out, and what is done then. */
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { originOf } from '../../src/formats/checkpoint.ts';
import { openCheckpoint } from '../../src/formats/checkpoint.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import { openSqliteStore } from '../../src/substrate/store/sqlite.ts';
import { checkpointOf, testKey } from '../formats/build-log.ts';
import type { TestSeed } from '../support/home.ts';
import { allReceipts, codeOf, CURSOR, openAgain, openSeed, verifyExport } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { until } from '../support/child.ts';
import { testSources } from '../support/sources.ts';

const NOTE = { action: 'note.put', actor: CURSOR } as const;

async function note({ substrate }: TestSeed, count: number): Promise<void> {
  for (let done = 0; done < count; done++) await substrate.operate(NOTE, async () => {});
}

/** A home whose database was put back to an earlier copy: 5 receipts older, then `more` new ones. */
async function rolledBack(dir: ReturnType<typeof scratch>, more: number): Promise<string> {
  const seed = await openSeed(dir);
  await note(seed, 10);
  await seed.substrate.close();
  const database = homePath(seed.home, 'database');
  copyFileSync(database, dir.at('old.db'));
  copyFileSync(homePath(seed.home, 'checkpoint'), dir.at('old-checkpoint'));
  const later = await openAgain(seed.home);
  await note(later, 5);
  await later.substrate.close();
  const held = readFileSync(homePath(seed.home, 'checkpoint'), 'utf8');
  copyFileSync(dir.at('old.db'), database);
  if (more === 0) return seed.home;
  // Whoever puts it back goes on with it unnoticed, the outside checkpoint of that time beside it.
  copyFileSync(dir.at('old-checkpoint'), homePath(seed.home, 'checkpoint'));
  const other = await openAgain(seed.home, { sources: testSources('other', Date.UTC(2026, 10, 22)) });
  await note(other, more);
  await other.substrate.close();
  writeFileSync(homePath(seed.home, 'checkpoint'), held);
  return seed.home;
}

describe('the checkpoint outside the database', () => {
  it('follows the log by itself, and at once on closing', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const path = homePath(seed.home, 'checkpoint');
    const heldSize = (): number => Number(readFileSync(path, 'utf8').split('\n')[1]);
    await note(seed, 3);
    const { size, checkpoint } = await seed.substrate.log();
    await until(() => heldSize() === size, 'the checkpoint on disk');
    expect(readFileSync(path, 'utf8')).toBe(checkpoint);
    await note(seed, 1);
    await seed.substrate.close();
    expect(heldSize()).toBe(size + 1);
    const { seed: id, root } = seed.substrate;
    expect(
      openCheckpoint(readFileSync(path, 'utf8'), { origin: originOf(id), publicKeys: root.logKeys }),
    ).toMatchObject({
      size: size + 1,
    });
  });

  it('does not keep a substrate from closing where it cannot be written', async () => {
    using dir = scratch();
    const seed = await openSeed(dir);
    await note(seed, 1);
    rmSync(seed.home, { recursive: true });
    expect(await codeOf(seed.substrate.close())).toBe('home_unwritable');
    // Closed all the same: what was open is let go.
    expect(await codeOf(seed.substrate.read((db) => db.get('SELECT 1')))).toBe('stopping');
  });

  it('[LOCK-RECEIPT-1] finds out a log that was put back to an older copy', async () => {
    using dir = scratch();
    const home = await rolledBack(dir, 0);
    await using seed = await openAgain(home);
    const { substrate } = seed;
    expect(substrate.distrust).toMatchObject({ code: 'log_rolled_back', data: { size: 11, held: 16 } });
    // Nothing is written, and everything can be read and exported.
    expect(await codeOf(substrate.operate(NOTE, async () => {}))).toBe('log_rolled_back');
    expect(await codeOf(substrate.maintain(async () => {}))).toBe('log_rolled_back');
    expect(await allReceipts(substrate)).toHaveLength(11);
    const held = readFileSync(homePath(home, 'checkpoint'), 'utf8');
    const trust = { pinnedRoot: seed.pinnedRoot, heldCheckpoint: held };
    expect(await verifyExport(substrate, { out: dir.at('out'), ...trust })).toMatchObject({
      verdict: 'broken',
      continuesHeld: false,
    });
    await substrate.close();
    expect(readFileSync(homePath(home, 'checkpoint'), 'utf8')).toBe(held);
  });

  it.each([5, 9])('[LOCK-RECEIPT-1] finds out a log that went on otherwise, to %d receipts more', async (more) => {
    using dir = scratch();
    const home = await rolledBack(dir, more);
    await using seed = await openAgain(home);
    expect(seed.substrate.distrust).toMatchObject({ code: 'log_forked', data: { held: 16 } });
    expect(await codeOf(seed.substrate.operate(NOTE, async () => {}))).toBe('log_forked');
  });

  it.each([0, 2, 4])('[LOCK-RECEIPT-1] finds out that receipt %d of 5 was taken out of the database', async (seq) => {
    using dir = scratch();
    const seed = await openSeed(dir);
    const { size } = await seed.substrate.log();
    await note(seed, 5 - size);
    await seed.substrate.close();
    const db = new Database(homePath(seed.home, 'database'));
    db.prepare('DELETE FROM substrate_receipts WHERE seq = ?').run(seq);
    db.close();
    await using again = await openAgain(seed.home);
    expect(again.substrate.distrust).toMatchObject({ code: 'log_forked' });
    // Accepting would put a receipt on top of the gap and mend nothing.
    expect(await codeOf(again.substrate.acceptLog())).toBe('log_forked');
    expect((await again.substrate.log()).size).toBe(5);
  });

  it('is missed: a home always has one, and without it an older log would pass', async () => {
    using dir = scratch();
    const home = await rolledBack(dir, 0);
    rmSync(homePath(home, 'checkpoint'));
    await using seed = await openAgain(home);
    expect(seed.substrate.distrust).toMatchObject({ code: 'log_rolled_back' });
    expect(await codeOf(seed.substrate.operate(NOTE, async () => {}))).toBe('log_rolled_back');
    await seed.substrate.acceptLog();
    expect(statSync(homePath(home, 'checkpoint')).size).toBeGreaterThan(0);
  });

  it('cannot be read: the log is not trusted, what is there is left, and it can be read', async () => {
    using dir = scratch();
    const first = await openSeed(dir);
    await note(first, 3);
    await first.substrate.close();
    const path = homePath(first.home, 'checkpoint');
    rmSync(path);
    mkdirSync(path);
    const seed = await openAgain(first.home);
    expect(seed.substrate.distrust).toMatchObject({ code: 'home_damaged' });
    expect(seed.substrate.distrust?.message).toContain(path);
    expect(await codeOf(seed.substrate.operate(NOTE, async () => {}))).toBe('home_damaged');
    expect(await allReceipts(seed.substrate)).toHaveLength(4);
    await seed.substrate.close();
    expect(statSync(path).isDirectory()).toBe(true);
  });

  it('is no evidence where the log itself cannot be read: that is thrown, and the next start looks again', async () => {
    using dir = scratch();
    const first = await openSeed(dir);
    await Promise.all(Array.from({ length: 300 }, () => first.substrate.operate(NOTE, async () => {})));
    await first.substrate.close();
    const meddle = async (sql: string): Promise<void> => {
      const store = openSqliteStore({
        path: homePath(first.home, 'database'),
        driver: 'better-sqlite3',
        sources: testSources(),
      });
      await store.transaction((tx) => tx.run(sql));
      await store.close();
    };
    await meddle('ALTER TABLE substrate_tree RENAME TO substrate_away');
    expect(['none', 'log_forked', 'log_rolled_back', 'home_damaged']).not.toContain(
      await codeOf(openAgain(first.home).then(({ substrate }) => substrate.close())),
    );
    await meddle('ALTER TABLE substrate_away RENAME TO substrate_tree');
    await using seed = await openAgain(first.home);
    expect(seed.substrate.distrust).toBeNull();
    await note(seed, 1);
  });

  it('is what finds it out: with its own older copy beside it the same log is trusted (the control)', async () => {
    using dir = scratch();
    const home = await rolledBack(dir, 0);
    copyFileSync(dir.at('old-checkpoint'), homePath(home, 'checkpoint'));
    await using seed = await openAgain(home);
    expect(seed.substrate.distrust).toBeNull();
    // It is kept again from the next receipt on.
    await note(seed, 1);
    seed.substrate.flushCheckpoint();
    expect(statSync(homePath(home, 'checkpoint')).size).toBeGreaterThan(0);
  });

  it('does not take an honest log for another', async () => {
    using dir = scratch();
    const first = await openSeed(dir);
    await note(first, 300);
    await first.substrate.close();
    const old = readFileSync(homePath(first.home, 'checkpoint'));
    const second = await openAgain(first.home);
    await note(second, 40);
    await second.substrate.close();
    // Older than the log, as after a crash within the second.
    writeFileSync(homePath(first.home, 'checkpoint'), old);
    await using third = await openAgain(first.home);
    expect(third.substrate.distrust).toBeNull();
  });

  it.each([0, 5])(
    'the owner can accept the log as it is (%d receipts more), with a receipt of what is lost',
    async (more) => {
      using dir = scratch();
      const home = await rolledBack(dir, more);
      const seed = await openAgain(home);
      const { substrate } = seed;
      const { size } = await substrate.log();
      const reason = more === 0 ? 'log_rolled_back' : 'log_forked';
      const { seq } = await substrate.acceptLog();
      expect(seq).toBe(size);
      expect((await allReceipts(substrate)).at(-1)).toMatchObject({
        action: 'log.accept',
        actor: { id: 'owner', kind: 'human' },
        detail: { size, held: 16, reason },
      });
      expect(substrate.distrust).toBeNull();
      await note(seed, 1);
      await substrate.close();
      await using again = await openAgain(home);
      expect(again.substrate.distrust).toBeNull();
      expect(await verifyExport(again.substrate, { out: dir.at('out'), pinnedRoot: again.pinnedRoot })).toMatchObject({
        verdict: 'proven',
        size: size + 2,
      });
    },
  );

  it.each<[string, (path: string, seed: string) => void]>([
    ['empty', (path) => writeFileSync(path, '')],
    ['cut', (path) => writeFileSync(path, readFileSync(path).subarray(0, 60))],
    ['edited', (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('\n4\n', '\n1\n'))],
    [
      'signed by another key',
      (path, id) => writeFileSync(path, checkpointOf(['a'], originOf(id), testKey('stranger'))),
    ],
  ])('%s is distrusted, until the owner accepts', async (_name, damage) => {
    using dir = scratch();
    const seed = await openSeed(dir);
    await note(seed, 3);
    await seed.substrate.close();
    damage(homePath(seed.home, 'checkpoint'), seed.substrate.seed);
    const again = await openAgain(seed.home);
    expect(again.substrate.distrust).toMatchObject({ code: 'home_damaged' });
    expect(await codeOf(again.substrate.operate(NOTE, async () => {}))).toBe('home_damaged');
    await again.substrate.acceptLog();
    await again.substrate.close();
    await using last = await openAgain(seed.home);
    expect(last.substrate.distrust).toBeNull();
  });
});
