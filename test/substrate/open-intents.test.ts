/** Intents that a killed process left open, and the start that settles them. */
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { serve } from '../../src/daemon.ts';
import type { Receipt } from '../../src/formats/receipt.ts';
import { initHome } from '../../src/main.ts';
import { OWNER, SEED } from '../../src/substrate/actor.ts';
import { settleOpenIntents } from '../../src/substrate/receipts/open-intents.ts';
import type { Substrate } from '../../src/substrate/substrate.ts';
import { allReceipts, openAgain, openSeed, verifyExport } from '../support/home.ts';
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
});
