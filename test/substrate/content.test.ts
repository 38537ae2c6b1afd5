/** Content kept apart by hash, and gone without a trace when it is erased. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import {
  CONTENT_BYTES_MAX,
  eraseContent,
  eraseDueContent,
  getContent,
  putContent,
} from '../../src/substrate/content.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import { exportLog } from '../../src/substrate/receipts/export.ts';
import { allReceipts, codeOf, CURSOR, DRIVERS, openAgain, openSeed, verifyFolder } from '../support/home.ts';
import type { TestSeed } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { seededBytes } from '../support/sources.ts';

const NOTE = { action: 'note.put', actor: CURSOR } as const;
const ERASE = { action: 'note.erase', actor: CURSOR } as const;

/** Files of the home in which any of these bytes stand. */
function filesWith(home: string, needles: readonly Uint8Array[]): string[] {
  return readdirSync(home, { recursive: true, encoding: 'utf8' })
    .map((name) => join(home, name))
    .filter((path) => existsSync(path) && statSync(path).isFile())
    .filter((path) => {
      const bytes = readFileSync(path);
      return needles.some((needle) => bytes.includes(Buffer.from(needle)));
    })
    .map((path) => path.slice(home.length + 1));
}

/** Recognisable anywhere: 16 bytes out of each of its parts, as pages may cut it. */
function needlesOf(body: Uint8Array): Uint8Array[] {
  const needles: Uint8Array[] = [];
  for (let at = 0; at + 16 <= body.length; at += 1_000) needles.push(body.subarray(at, at + 16));
  return needles;
}

async function put(
  { substrate, sources }: TestSeed,
  body: Uint8Array,
  eraseAt: number | null = null,
): Promise<{ hash: string; seq: number }> {
  const { value, seq } = await substrate.operate(NOTE, async (op) => {
    const input = await putContent(op, body, { sources, eraseAt });
    op.receipt({ input });
    return input;
  });
  return { hash: value, seq };
}

async function churn({ substrate }: TestSeed, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => substrate.operate(NOTE, async () => {})));
}

describe.each(DRIVERS)('content on %s', (driver) => {
  it('is kept under the hash of its salt and itself', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const body = Buffer.from('Grüße 🌱');
    const [one, two] = [await put(seed, body), await put(seed, body)];
    expect(one.hash).not.toBe(two.hash);
    expect(Buffer.from((await seed.substrate.read((db) => getContent(db, one.hash)))!)).toEqual(body);
    const row = await seed.substrate.read((db) =>
      db.get<{ salt: Uint8Array }>('SELECT salt FROM substrate_content WHERE hash = ?', one.hash),
    );
    expect(createHash('sha256').update(row!.salt).update(body).digest('hex')).toBe(one.hash);
    expect(await seed.substrate.read((db) => getContent(db, 'ab'.repeat(32)))).toBeNull();
  });

  it('has a largest size', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const largest = new Uint8Array(CONTENT_BYTES_MAX).fill(7);
    const { hash } = await put(seed, largest);
    expect((await seed.substrate.read((db) => getContent(db, hash)))!.length).toBe(CONTENT_BYTES_MAX);
    expect(await codeOf(put(seed, new Uint8Array(CONTENT_BYTES_MAX + 1)))).toBe('too_large');
  });

  it.each([
    ['short', 40],
    ['of several pages', 50_000],
    ['large', 2_000_000],
  ])('%s is found nowhere once erased, and its receipt still verifies', async (_name, bytes) => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate, home } = seed;
    const body = seededBytes(`content ${bytes}`)(bytes);
    const needles = needlesOf(body);
    await churn(seed, 50);
    const { hash, seq } = await put(seed, body);
    await put(seed, seededBytes('neighbour')(60_000));
    await churn(seed, 200);
    const salt = (await substrate.read((db) =>
      db.get<{ salt: Uint8Array }>('SELECT salt FROM substrate_content WHERE hash = ?', hash),
    ))!.salt;
    // The control: before, the same search does find it.
    expect(filesWith(home, needles)).not.toEqual([]);
    expect(filesWith(home, [salt])).not.toEqual([]);
    await substrate.operate(ERASE, async (op) => {
      expect(await eraseContent(op, [hash])).toBe(1);
    });
    await substrate.scrub();
    expect(filesWith(home, [...needles, salt])).toEqual([]);
    await churn(seed, 100);
    expect(filesWith(home, [...needles, salt])).toEqual([]);
    expect(await substrate.read((db) => getContent(db, hash))).toBeNull();
    expect((await allReceipts(substrate))[seq]).toMatchObject({ input: hash });
    const { size, checkpoint } = await substrate.log();
    const out = dir.at('out');
    await exportLog(substrate, { out, size, checkpoint, signal: new AbortController().signal, onProgress: () => {} });
    expect(verifyFolder(out, { pinnedRoot: seed.pinnedRoot })).toMatchObject({ verdict: 'proven' });
    expect(filesWith(out, [...needles, salt])).toEqual([]);
  });

  it('is found nowhere after a stop in between either: the next start scrubs', async () => {
    using dir = scratch();
    const seed = await openSeed(dir, { driver });
    const body = seededBytes('cut off')(30_000);
    const needles = needlesOf(body);
    const { hash } = await put(seed, body);
    await seed.substrate.operate(ERASE, (op) => eraseContent(op, [hash]));
    // Erased and not scrubbed, as when the process dies in between: the journal still has it.
    expect(filesWith(seed.home, needles)).toEqual(['seed.db-wal']);
    await using again = await openAgain(seed.home, { driver });
    expect(filesWith(seed.home, needles)).toEqual([]);
    await again.substrate.close();
    await seed.substrate.close();
    expect(filesWith(seed.home, needles)).toEqual([]);
  });

  it('goes when its time has come, not before, and no more at once than asked', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir, { driver });
    const { substrate, sources } = seed;
    const start = sources.time;
    const bodies = Array.from({ length: 5 }, (_, index) => seededBytes(`due ${index}`)(5_000));
    for (const [index, body] of bodies.entries()) await put(seed, body, start + 1_000 * index);
    const kept = await put(seed, seededBytes('for ever')(5_000));
    const erase = (now: number, limit: number): Promise<number> =>
      substrate.maintain((tx) => eraseDueContent(tx, now, limit));
    expect(await erase(start - 1, 10)).toBe(0);
    expect(await erase(start + 2_000, 2)).toBe(2);
    expect(await erase(start + 2_000, 2)).toBe(1);
    expect(await erase(start + 2_000, 2)).toBe(0);
    await substrate.scrub();
    const found = bodies.map((body) => filesWith(seed.home, needlesOf(body)).length > 0);
    expect(found).toEqual([false, false, false, true, true]);
    expect(await substrate.read((db) => getContent(db, kept.hash))).not.toBeNull();
  });
});

describe('content that was altered in the database', () => {
  it('is not shown as what the receipt stands for', async () => {
    using dir = scratch();
    const seed = await openSeed(dir);
    const { value: hash } = await seed.substrate.operate({ action: 'note.claim', actor: CURSOR }, async (op) =>
      putContent(op, Buffer.from('as it was'), { sources: seed.substrate.sources }),
    );
    expect(Buffer.from((await seed.substrate.read((db) => getContent(db, hash))) ?? []).toString()).toBe('as it was');
    await seed.substrate.close();
    const db = new Database(homePath(seed.home, 'database'));
    db.prepare('UPDATE substrate_content SET body = ?').run(Buffer.from('forged'));
    db.close();
    await using again = await openAgain(seed.home);
    expect(await codeOf(again.substrate.read((reader) => getContent(reader, hash)))).toBe('store_corrupt');
  });
});
