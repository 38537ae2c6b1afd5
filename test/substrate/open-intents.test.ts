/** Intents that a killed process left open, and the start that settles them. */
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { serve } from '../../src/daemon.ts';
import type { Receipt } from '../../src/formats/receipt.ts';
import { initHome } from '../../src/main.ts';
import { OWNER, SEED } from '../../src/substrate/actor.ts';
import { readOpenIntents } from '../../src/substrate/receipts/log.ts';
import { settleOpenIntents } from '../../src/substrate/receipts/open-intents.ts';
import type { Substrate } from '../../src/substrate/substrate.ts';
import { systemSources } from '../../src/substrate/sources.ts';
import { openConnection } from '../../src/substrate/store/connection.ts';
import { migrate } from '../../src/substrate/store/migrate.ts';
import { MIGRATIONS } from '../../src/substrate/store/migrations/index.ts';
import { openSqliteReader } from '../../src/substrate/store/sqlite.ts';
import { allReceipts, codeOf, openAgain, openSeed, verifyExport } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';

const EXPORT = { action: 'receipt.export', actor: OWNER } as const;
const START = { action: 'seed.start', actor: SEED } as const;

/** What an export says before it begins; resolves to its number. */
async function intend(substrate: Substrate): Promise<number> {
  const { seq } = await substrate.operate(EXPORT, async (op) => {
    op.receipt({ outcome: 'intent', subject: { type: 'folder', id: 'out' }, detail: { receipts: op.seq + 1 } });
  });
  return seq;
}

const settling = (log: readonly Receipt[], intent: number): Receipt[] => log.filter(({ of }) => of === intent);

describe('an intent without an outcome', () => {
  it('is settled at the next start, before it, once; one that was settled is left alone', async () => {
    using dir = scratch();
    const home = dir.at('home');
    const config = { ...readConfig({ home }, { SEED_PORT: '0' }), port: 0 };
    await initHome(config, null);
    const killed = await openAgain(home);
    const done = await intend(killed.substrate);
    await killed.substrate.operate(EXPORT, async (op) => op.receipt({ of: done }));
    const open = await intend(killed.substrate);
    await killed.substrate.close();

    for (let start = 0; start < 2; start++) {
      const daemon = await serve(config);
      daemon.stop();
      await daemon.stopped;
    }
    await using seed = await openAgain(home);
    const log = await allReceipts(seed.substrate);
    expect(settling(log, open)).toMatchObject([
      {
        action: 'receipt.export',
        actor: { id: 'seed', kind: 'substrate' },
        outcome: 'incomplete',
        code: 'interrupted',
        subject: { type: 'folder', id: 'out' },
      },
    ]);
    expect(settling(log, done)).toMatchObject([{ outcome: 'ok', seq: done + 1 }]);
    const actions = log.slice(open + 1).map(({ action }) => action);
    expect(actions).toEqual(['receipt.export', 'seed.start', 'seed.stop', 'seed.start', 'seed.stop']);
    const trust = { out: dir.at('out'), pinnedRoot: seed.pinnedRoot };
    expect(await verifyExport(seed.substrate, trust)).toMatchObject({ verdict: 'proven' });
  });

  it('is looked for since the newest start, and told how many there were', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    expect(await settleOpenIntents(substrate)).toBe(0);
    await substrate.operate(START, async () => {});
    const open = [await intend(substrate), await intend(substrate)];
    expect(await settleOpenIntents(substrate)).toBe(2);
    expect(await settleOpenIntents(substrate)).toBe(0);
    const log = await allReceipts(substrate);
    for (const intent of open) expect(settling(log, intent)).toHaveLength(1);
  });

  it('is known to the writer at once and after a reopening, and the head says where the earliest stands', async () => {
    using dir = scratch();
    const home = dir.at('home');
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const state = (db: Substrate): Promise<[number[], unknown]> =>
      db.read(async (view) => [
        [...(await readOpenIntents(view))],
        (await view.get('SELECT open_from FROM substrate_log'))?.['open_from'],
      ]);
    const settle = (of: number): Promise<unknown> =>
      substrate.operate(EXPORT, async (op) => op.receipt({ of, outcome: 'failed', code: 'interrupted' }));
    // In one group: the second outcome of an intent is refused there as well.
    const [first, second, third] = await Promise.all([intend(substrate), intend(substrate), intend(substrate)]);
    expect(await state(substrate)).toEqual([[first, second, third], first]);
    const codes = await Promise.all([codeOf(settle(first)), codeOf(settle(first)), codeOf(settle(third))]);
    expect(codes).toEqual(['none', 'conflict', 'none']);
    expect(await state(substrate)).toEqual([[second], second]);
    await substrate.close();
    const again = await openAgain(home);
    expect(await state(again.substrate)).toEqual([[second], second]);
    expect(await codeOf(again.substrate.operate(EXPORT, async (op) => op.receipt({ of: first })))).toBe('conflict');
    await again.substrate.operate(EXPORT, async (op) => op.receipt({ of: second }));
    const [open, from] = await state(again.substrate);
    expect(open).toEqual([]);
    expect(from).toBe((await again.substrate.log()).size);
    await again.substrate.close();
  });

  it('of a home from before is found since its newest start', async () => {
    using dir = scratch();
    const db = openConnection('better-sqlite3', dir.at('seed.db'));
    migrate(db, systemSources, MIGRATIONS.slice(0, 17));
    const insert = db.prepare(
      "INSERT INTO substrate_receipts (seq, bytes, actor, action, outcome, of_seq) VALUES (?, '{}', 'a', ?, ?, ?)",
    );
    insert.run(0, 'note.put', 'intent', null);
    insert.run(1, 'seed.start', 'ok', null);
    insert.run(2, 'note.put', 'intent', null);
    insert.run(3, 'note.put', 'intent', null);
    insert.run(4, 'note.put', 'ok', 2);
    db.exec(
      `INSERT INTO substrate_log (id, seed, size, frontier, prev, time, checkpoint) VALUES (1, 's', 5, x'', '', '', '')`,
    );
    migrate(db, systemSources);
    db.exec('PRAGMA application_id = 0x53454544; PRAGMA journal_mode = WAL');
    db.close();
    const reader = openSqliteReader(dir.at('seed.db'), 'better-sqlite3');
    expect(await reader.read(readOpenIntents)).toEqual(new Set([3]));
    await reader.close();
  });
});
