/** A disk that fills up under the seed, and under a home that is being made. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SeedError } from '../../src/errors.ts';
import { getContent, putContent } from '../../src/substrate/content.ts';
import { scratch } from '../support/scratch.ts';
import { allReceipts, codeOf, CURSOR, DRIVERS, makeHome, openAgain, verifyExport } from '../support/home.ts';
import { noSmallDisk, smallDisk } from '../support/tmpfs.ts';
import { seededBytes } from '../support/sources.ts';

const NOTE = { action: 'note.put', actor: CURSOR } as const;
const missing = noSmallDisk();

describe.skipIf(missing !== null)(`a full disk${missing === null ? '' : ` (skipped: ${missing})`}`, () => {
  it.each(DRIVERS)('[LOCK-RECEIPT-2] on %s is told to all, costs nothing acknowledged, and ends', async (driver) => {
    using disk = smallDisk(4_096);
    using dir = scratch();
    const home = join(disk.folder, 'home');
    await makeHome(home, { driver });
    const seed = await openAgain(home, { driver });
    const { substrate, sources } = seed;
    const bytes = seededBytes('disk');
    const kept: { hash: string; seq: number }[] = [];
    const write = async (): Promise<unknown> => {
      const { value, seq } = await substrate.operate(NOTE, async (op) => {
        const input = await putContent(op, bytes(6_000), { sources });
        op.receipt({ input });
        return input;
      });
      kept.push({ hash: value, seq });
      return null;
    };
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: 10 }, write));
      disk.fill();
      const before = kept.length;
      const errors: unknown[] = [];
      // Pages that are free already take a few more; then each group is lost as a whole.
      while (errors.length === 0) {
        const ends = await Promise.allSettled(Array.from({ length: 20 }, write));
        errors.push(...ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : [])));
      }
      expect(errors).toHaveLength(20);
      for (const error of errors) {
        expect(error).toBeInstanceOf(SeedError);
        expect(error).toMatchObject({
          code: 'commit_unknown',
          message: expect.stringMatching(/^The commit failed\. The disk is full\./) as string,
          hint: expect.stringMatching(/^Nothing of it was kept\. Free some space/) as string,
          data: { reason: 'disk_full', holds: 'no' },
        });
      }
      // What is there can be read all the while, and a further write says what is wrong.
      for (const { hash } of kept.slice(0, before)) {
        expect(await substrate.read((db) => getContent(db, hash))).not.toBeNull();
      }
      expect(['commit_unknown', 'disk_full']).toContain(await codeOf(write()));
      disk.free();
      expect(await codeOf(write())).toBe('none');
    }
    const receipts = await allReceipts(substrate);
    expect(receipts).toHaveLength(kept.length + 1);
    for (const { hash, seq } of kept) expect(receipts[seq]!.input).toBe(hash);
    expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot })).toMatchObject({
      verdict: 'proven',
      size: receipts.length,
    });
    await substrate.close();
    await using again = await openAgain(home, { driver });
    expect(again.substrate.distrust).toBeNull();
  });

  it('under an export leaves nothing of it behind', async () => {
    using disk = smallDisk(256);
    using dir = scratch();
    await makeHome(dir.at('home'));
    await using seed = await openAgain(dir.at('home'));
    await Promise.all(Array.from({ length: 800 }, () => seed.substrate.operate(NOTE, async () => {})));
    const out = join(disk.folder, 'out');
    expect(await codeOf(verifyExport(seed.substrate, { out, pinnedRoot: seed.pinnedRoot }))).toBe('disk_full');
    expect(readdirSync(disk.folder)).toEqual([]);
  });

  it.each(DRIVERS)(
    'under a home being made with %s leaves nothing of it behind, wherever it fills up',
    async (driver) => {
      const ends: string[] = [];
      for (let kilobytes = 4; ends.at(-1) !== 'none'; kilobytes = Math.ceil(kilobytes * 1.3)) {
        using disk = smallDisk(kilobytes);
        for (const home of [disk.folder, join(disk.folder, 'a', 'b')]) {
          const end = await codeOf(makeHome(home, { driver }));
          if (end === 'none') {
            ends.push(end);
            break;
          }
          ends.push(end);
          expect([kilobytes, end, readdirSync(disk.folder)]).toEqual([kilobytes, end, []]);
        }
      }
      expect(new Set(ends)).toEqual(new Set(['disk_full', 'none']));
      expect(ends.length).toBeGreaterThan(8);
    },
  );
});
