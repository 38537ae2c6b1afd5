/** Where content stands: found whatever came and went, and on no shelf what is gone. */
import { describe, expect, it } from 'vitest';
import { eraseContent, getContent, keepContent, putContent } from '../../src/substrate/content.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import { eraseDueContent } from '../../src/substrate/retention.ts';
import { openConnection } from '../../src/substrate/store/connection.ts';
import type { Row } from '../../src/substrate/store/store.ts';
import { CURSOR, DRIVERS, openSeed } from '../support/home.ts';
import type { TestSeed } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';

const isLong = process.env['SEED_TEST_LONG'] === '1';
const NOTE = { action: 'note.put', actor: CURSOR } as const;

/** Numbers that follow from a seed (Park and Miller 1988), from 0 up to `below`. */
function dice(state: number): (below: number) => number {
  let now = state;
  return (below) => {
    now = (now * 48_271) % 2_147_483_647;
    return now % below;
  };
}

/** What is kept, oldest first, with when it is due. */
type Kept = Map<string, { readonly text: string; eraseAt: number | null }>;

async function fill({ substrate, sources }: TestSeed, kept: Kept, count: number): Promise<void> {
  await substrate.operate(NOTE, async (op) => {
    for (let nth = 0; nth < count; nth++) {
      const text = `piece ${kept.size} ${nth}`;
      const eraseAt = nth % 3 === 0 ? null : 1_000 + nth;
      kept.set(await putContent(op, Buffer.from(text), { sources, eraseAt }), { text, eraseAt });
    }
  });
}

async function drop({ substrate }: TestSeed, kept: Kept, hashes: readonly string[]): Promise<void> {
  await substrate.operate(NOTE, async (op) => {
    expect(await eraseContent(op, hashes)).toBe(hashes.length);
  });
  for (const hash of hashes) kept.delete(hash);
}

interface Placed extends Row {
  readonly id: number;
  readonly shelf: number;
  readonly prefix: string;
  readonly erase_at: number | null;
}

/** Every piece is found, and each place on a shelf is that of a piece, with its time. */
async function assertInPlace({ substrate }: TestSeed, kept: Kept, gone: readonly string[]): Promise<void> {
  await substrate.read(async (db) => {
    for (const [hash, { text }] of kept) {
      expect(Buffer.from((await getContent(db, hash)) ?? []).toString()).toBe(text);
    }
    for (const hash of gone) expect(await getContent(db, hash)).toBeNull();
    const border = 'SELECT max(id) >> 7 << 7 AS id FROM substrate_content';
    const placed = await db.all<Placed>('SELECT * FROM substrate_content_shelves ORDER BY id');
    const pieces = await db.all<Placed>(
      'SELECT id, id >> 12 AS shelf, substr(hash, 1, 12) AS prefix, erase_at FROM substrate_content ORDER BY id',
    );
    const { id: first } = (await db.get<{ id: number }>(border)) ?? { id: 0 };
    const told = ({ id, shelf, prefix, erase_at: eraseAt }: Placed): unknown => [id, shelf, prefix, eraseAt];
    const before = (rows: readonly Placed[]): unknown[] => rows.filter(({ id }) => id < first).map(told);
    expect(before(placed)).toEqual(before(pieces));
    // What stands there already though it need not is no other than what is kept.
    const all = new Map(pieces.map((piece) => [piece.id, told(piece)]));
    for (const place of placed) expect(all.get(place.id)).toEqual(told(place));
  });
}

describe.each(DRIVERS)('shelves on %s', (driver) => {
  it('hold all but the newest few, in time for each border, whatever is erased in between', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const kept: Kept = new Map();
    const gone: string[] = [];
    const roll = dice(isLong ? 77 : 7);
    for (let round = 0; round < (isLong ? 60 : 8); round++) {
      await fill(seed, kept, 1 + roll(400));
      const hashes = [...kept.keys()];
      // Some from anywhere, and now and then all of the newest, whose numbers are given anew.
      const some = hashes.filter(() => roll(10) === 0);
      const newest = roll(3) === 0 ? hashes.slice(-roll(500)) : [];
      const dropped = [...new Set([...some, ...newest])];
      await drop(seed, kept, dropped);
      gone.push(...dropped.slice(-5));
    }
    await fill(seed, kept, 300);
    await assertInPlace(seed, kept, gone);
  });

  it('know when each piece is due, on a shelf and before it comes there', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const kept: Kept = new Map();
    await fill(seed, kept, 600);
    const later = [...kept].filter(([, { eraseAt }], nth) => eraseAt !== null && nth % 7 === 0).map(([hash]) => hash);
    await seed.substrate.operate(NOTE, async (op) => {
      for (const hash of later) await keepContent(op, hash, 9_000);
    });
    for (const hash of later) kept.get(hash)!.eraseAt = 9_000;
    await assertInPlace(seed, kept, []);
    const due = [...kept].filter(([, { eraseAt }]) => eraseAt !== null && eraseAt <= 5_000).map(([hash]) => hash);
    // Both kinds are among them: of what came last none is on a shelf.
    expect(await eraseDueContent(seed.substrate, 5_000, 16)).toBe(due.length);
    for (const hash of due) kept.delete(hash);
    await assertInPlace(seed, kept, due);
  });

  it('that name what is not there do not keep retention busy for ever', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    await fill(seed, new Map(), 1);
    const db = openConnection(driver, homePath(seed.home, 'database'));
    db.exec("INSERT INTO substrate_content_shelves (shelf, prefix, id, erase_at) VALUES (0, 'altered', 4000, 1)");
    db.close();
    expect(await eraseDueContent(seed.substrate, 500, 1)).toBe(0);
  });
});
