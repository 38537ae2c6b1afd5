/** Lists of receipts: a page looks at a bounded part of the log, and all pages together miss nothing. */
import { expect, it } from 'vitest';
import type { Receipt } from '../../src/formats/receipt.ts';
import type { PageOptions, ReceiptFilter } from '../../src/substrate/receipts/query.ts';
import { listReceipts } from '../../src/substrate/receipts/query.ts';
import type { SubstrateReader } from '../../src/substrate/substrate.ts';
import { allReceipts, openSeed } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';

const ACTORS = ['ada', 'bo', 'cy'] as const;
const ACTIONS = ['note.a', 'note.b'] as const;

async function everyPage(
  substrate: SubstrateReader,
  filter: ReceiptFilter,
  options: PageOptions,
): Promise<{ found: Receipt[]; empty: number }> {
  const found: Receipt[] = [];
  let empty = 0;
  for (let after: number | null | undefined; after !== null; ) {
    const page = await substrate.read((db) => listReceipts(db, filter, { ...options, after: after ?? null }));
    found.push(...page.receipts);
    if (page.receipts.length === 0 && page.next !== null) empty++;
    after = page.next;
  }
  return { found, empty };
}

it('gives every receipt that matches once and in order, whatever the filter, the page and the window', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  for (let i = 0; i < 60; i++) {
    // The last third is one actor's alone, so that windows without the others come up.
    const id = i < 40 ? (ACTORS[i % 3] ?? 'ada') : 'ada';
    const actor = { id, kind: 'agent', grant: null, scopes: new Set<string>() } as const;
    const work = substrate.operate({ action: ACTIONS[i % 2] ?? 'note.a', actor }, async () => {
      if (i % 7 === 0) throw new Error('on purpose');
    });
    await work.catch(() => {});
  }
  const all = await allReceipts(substrate);
  let empties = 0;
  for (const actor of [undefined, ...ACTORS, 'nobody'])
    for (const action of [undefined, ...ACTIONS])
      for (const outcome of [undefined, 'ok', 'failed'] as const)
        for (const order of ['newest', 'oldest'] as const)
          for (const [limit, window] of [
            [3, 5],
            [50, 7],
            [4, 1_000],
          ] as const) {
            const filter = { actor, action, outcome, from: 4, to: 55 };
            const { found, empty } = await everyPage(substrate, filter, { limit, order, window });
            const wanted = all.filter(
              (receipt) =>
                receipt.seq >= 4 &&
                receipt.seq <= 55 &&
                receipt.actor.id === (actor ?? receipt.actor.id) &&
                receipt.action === (action ?? receipt.action) &&
                receipt.outcome === (outcome ?? receipt.outcome),
            );
            const expected = order === 'newest' ? wanted.toReversed() : wanted;
            expect(found.map(({ seq }) => seq)).toEqual(expected.map(({ seq }) => seq));
            empties += empty;
          }
  // The control: windows did cut pages short, so the bound was at work.
  expect(empties).toBeGreaterThan(0);
});
