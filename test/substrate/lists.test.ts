/** Receipts by grant and by outcome: a list has each once, wherever a tile ends, and none that is not its own. */
import { describe, expect, it } from 'vitest';
import type { Receipt } from '../../src/formats/receipt.ts';
import { SeedError } from '../../src/errors.ts';
import type { Actor } from '../../src/substrate/actor.ts';
import { OWNER } from '../../src/substrate/actor.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import { auditLog } from '../../src/substrate/receipts/audit.ts';
import { BY_GRANT, BY_OUTCOME } from '../../src/substrate/receipts/lists.ts';
import type { ReceiptFilter } from '../../src/substrate/receipts/query.ts';
import { listReceipts } from '../../src/substrate/receipts/query.ts';
import { openConnection } from '../../src/substrate/store/connection.ts';
import type { SubstrateReader } from '../../src/substrate/substrate.ts';
import { allReceipts, DRIVERS, openAgain, openSeed } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { seededNumbers } from '../support/sources.ts';
import { takeBack } from '../support/take-back.ts';
import type { TestSeed } from '../support/home.ts';
import { watched } from '../support/watched.ts';
import { letIn } from './bus/rig.ts';

const isLong = process.env['SEED_TEST_LONG'] === '1';
/** Two tiles and some more, or a hundred. */
const RECEIPTS = isLong ? 25_700 : 600;

/** Leaves receipts of several grants and of the owner's, of every outcome that an operation can have, up to that many. */
async function fill({ substrate }: TestSeed, actors: readonly Actor[], size: number): Promise<void> {
  const roll = seededNumbers('lists');
  for (let now = (await substrate.log()).size; now < size; now = (await substrate.log()).size) {
    const group = Array.from({ length: Math.min(1 + roll(40), size - now) }, () => {
      const [actor, end] = [actors[roll(actors.length)]!, roll(6)];
      const work = substrate.operate({ action: 'note.put', actor }, async (op) => {
        await op.run('INSERT INTO substrate_switches (name, value) VALUES (?, 1)', `mark ${op.seq}`);
        if (end === 0) throw new Error('on purpose');
        if (end === 1) throw new SeedError('forbidden', 'No.', { hint: 'Do not.' });
        if (end === 2) op.receipt({ outcome: 'claimed' });
      });
      return work.catch(() => {});
    });
    await Promise.all(group);
  }
}

async function pages(substrate: SubstrateReader, filter: ReceiptFilter, limit: number, order: 'newest' | 'oldest') {
  const found: number[] = [];
  for (let after: number | null | undefined; after !== null; ) {
    const options = { limit, order, after: after ?? null };
    const page = await substrate.read((db) => listReceipts(db, filter, options));
    // An index or a list leads to each page at once: none is empty before the end.
    expect(page.receipts.length === limit || page.next === null).toBe(true);
    found.push(...page.receipts.map(({ seq }) => seq));
    after = page.next;
  }
  return found;
}

async function assertListed(substrate: SubstrateReader, actors: readonly Actor[]): Promise<void> {
  const all = await allReceipts(substrate);
  const border = all.length - (all.length % 256);
  const limit = isLong ? 1_000 : 7;
  const check = async (filter: ReceiptFilter, has: (receipt: Receipt) => boolean): Promise<number> => {
    for (const [from, to] of [
      [0, all.length],
      [200, 300],
      [border - 1, border],
      [border, all.length],
    ] as const) {
      const wanted = all.filter((receipt) => receipt.seq >= from && receipt.seq <= to && has(receipt));
      const seqs = wanted.map(({ seq }) => seq);
      expect(await pages(substrate, { ...filter, from, to }, limit, 'oldest')).toEqual(seqs);
      expect(await pages(substrate, { ...filter, from, to }, limit, 'newest')).toEqual(seqs.toReversed());
    }
    return all.filter(has).length;
  };
  for (const { grant } of actors) {
    if (grant !== null) expect(await check({ grant }, ({ actor }) => actor.grant === grant)).toBeGreaterThan(20);
  }
  expect(await check({ grant: 'nobody' }, () => false)).toBe(0);
  for (const outcome of ['failed', 'refused', 'claimed'] as const) {
    expect(await check({ outcome }, (receipt) => receipt.outcome === outcome)).toBeGreaterThan(20);
  }
  await assertPlaces(substrate, all.slice(0, border));
}

/** What stands in the lists is what they are for, of whole tiles, and nothing else. */
async function assertPlaces(substrate: SubstrateReader, tiles: readonly Receipt[]): Promise<void> {
  const placed = async (sql: string): Promise<[string, number][]> => {
    const rows = await substrate.read((db) => db.all<{ name: string; seq: number }>(`${sql} ORDER BY seq`));
    return rows.map(({ name, seq }) => [name, seq]);
  };
  expect(await placed('SELECT grant_id AS name, seq FROM substrate_receipts_by_grant')).toEqual(
    tiles.flatMap(({ actor: { grant }, seq }) => (grant === null ? [] : [[grant, seq]])),
  );
  expect(await placed('SELECT outcome AS name, seq FROM substrate_receipts_by_outcome')).toEqual(
    tiles.flatMap(({ outcome, seq }) => (outcome === 'ok' || outcome === 'intent' ? [] : [[outcome, seq]])),
  );
}

async function actorsOf({ substrate }: TestSeed): Promise<Actor[]> {
  return [OWNER, await letIn(substrate, 'ann'), await letIn(substrate, 'bob'), await letIn(substrate, 'cid')];
}

it.each(DRIVERS)('lists have each receipt once and in order, on %s', async (driver) => {
  using dir = scratch();
  await using seed = await openSeed(dir, { driver });
  const actors = await actorsOf(seed);
  await fill(seed, actors, RECEIPTS);
  await assertListed(seed.substrate, actors);
});

it.each([255, 256, 257])('a log of %i receipts is listed as far as its tiles are whole', async (size) => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  await fill(seed, await actorsOf(seed), size);
  await assertPlaces(seed.substrate, (await allReceipts(seed.substrate)).slice(0, size < 256 ? 0 : 256));
});

it('a home that had indexes has lists after its next start', async () => {
  using dir = scratch();
  const before = await openSeed(dir);
  const actors = await actorsOf(before);
  await fill(before, actors, RECEIPTS);
  await before.substrate.close();
  takeBack(before.home, 20);
  await using after = await openAgain(before.home, before);
  await assertListed(after.substrate, actors);
});

describe('a list', () => {
  it('shows nothing that was put in it and is another’s', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const actors = await actorsOf(seed);
    await fill(seed, actors, 300);
    const [, ann, bob] = actors;
    const mine = await pages(seed.substrate, { grant: ann!.grant! }, 50, 'newest');
    const other = (await pages(seed.substrate, { grant: bob!.grant! }, 50, 'oldest'))[0];
    const db = openConnection('better-sqlite3', homePath(seed.home, 'database'));
    const put = db.prepare('INSERT INTO substrate_receipts_by_grant (grant_id, seq) VALUES (?, ?)');
    for (const seq of [other, 280]) put.run(ann!.grant, seq ?? null);
    db.close();
    expect(await pages(seed.substrate, { grant: ann!.grant! }, 50, 'newest')).toEqual(mine);
  });

  it.each([BY_GRANT, BY_OUTCOME])('that lost a receipt is found out by reading the log back: $table', async (list) => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    await fill(seed, await actorsOf(seed), 300);
    const { substrate } = seed;
    const audit = async (): Promise<unknown> =>
      auditLog((fn) => substrate.read(fn), {
        state: await substrate.log(),
        from: 0,
        signal: new AbortController().signal,
        onProgress: () => {},
      });
    expect(await audit()).toBe(0);
    const db = openConnection('better-sqlite3', homePath(seed.home, 'database'));
    const { seq } = db.prepare(`SELECT max(seq) AS seq FROM ${list.table}`).get() as { seq: number };
    db.prepare(`DELETE FROM ${list.table} WHERE seq = ?`).run(seq);
    db.close();
    await expect(audit()).rejects.toMatchObject({ code: 'store_corrupt', data: { seq } });
  });

  it.each([BY_GRANT, BY_OUTCOME])(
    'leads to its receipts: $table, and the newest few alone are gone through',
    async ({ column }) => {
      using dir = scratch();
      await using seed = await openSeed(dir);
      const plans: string[] = [];
      const explain = (sql: string, params: readonly unknown[]): void => {
        const db = openConnection('better-sqlite3', homePath(seed.home, 'database'), { readonly: true });
        const steps = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...(params as never[])) as { detail: string }[];
        if (sql.includes('UNION')) plans.push(...steps.map(({ detail }) => detail));
        db.close();
      };
      const filter: ReceiptFilter = column === 'grant_id' ? { grant: 'x' } : { outcome: 'failed' };
      await seed.substrate.read((db) => listReceipts(watched(db, explain), filter, { limit: 5 }));
      expect(plans).toEqual([
        'MERGE (UNION ALL)',
        'LEFT',
        `SEARCH l USING PRIMARY KEY (${column}=? AND seq>? AND seq<?)`,
        'SEARCH r USING INTEGER PRIMARY KEY (rowid=?)',
        'RIGHT',
        'SEARCH r USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)',
      ]);
    },
  );
});
