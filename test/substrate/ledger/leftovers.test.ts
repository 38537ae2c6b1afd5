/** Money that a process held when it was killed, and the start that settles it. */
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../src/config.ts';
import { serve } from '../../../src/daemon.ts';
import { initHome } from '../../../src/main.ts';
import { settleLeftovers } from '../../../src/substrate/ledger/leftovers.ts';
import { settleOpenIntents } from '../../../src/substrate/receipts/open-intents.ts';
import { allReceipts, openAgain, openSeed, verifyExport } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { ATTEMPT, expectConserved, hold, pay, totals } from './rig.ts';

describe('a hold that its process left', () => {
  it('[LOCK-RUNTIME-3] is settled in full at the next start, with the one outcome of its intent', async () => {
    using dir = scratch();
    const home = dir.at('home');
    const config = { ...readConfig({ home }, { SEED_PORT: '0' }), port: 0 };
    await initHome(config, null);
    const killed = await openAgain(home);
    await pay(killed.substrate, await hold(killed.substrate, { id: 'done' }), 30);
    const open = await hold(killed.substrate, { id: 'open' });
    await killed.substrate.close();

    for (let start = 0; start < 2; start++) {
      const daemon = await serve(config);
      daemon.stop();
      await daemon.stopped;
    }
    await using seed = await openAgain(home);
    const log = await allReceipts(seed.substrate);
    expect(log.filter(({ of }) => of === open.intent)).toMatchObject([
      {
        action: 'route.attempt',
        actor: { id: 'seed', kind: 'substrate' },
        outcome: 'incomplete',
        code: 'interrupted',
        subject: { type: 'attempt', id: 'open' },
        detail: { target: 'anthropic', model: 'a-model', price: 'owner:1', cost_micro_usd: 100 },
      },
    ]);
    const actions = log.slice(open.intent + 1).map(({ action }) => action);
    expect(actions).toEqual(['route.attempt', 'seed.start', 'seed.stop', 'seed.start', 'seed.stop']);
    expect(await totals(seed.substrate)).toEqual({ spent: 130, held: 0 });
    const trust = { out: dir.at('out'), pinnedRoot: seed.pinnedRoot };
    expect(await verifyExport(seed.substrate, trust)).toMatchObject({ verdict: 'proven' });
  });

  it('leaves other intents to what settles those, and is settled even where its intent has an outcome', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const bare = await substrate.operate({ ...ATTEMPT, action: 'receipt.export' }, async (op) => {
      op.receipt({ outcome: 'intent' });
    });
    const half = await hold(substrate, { id: 'half' });
    await substrate.operate(ATTEMPT, async (op) =>
      op.receipt({ of: half.intent, outcome: 'failed', code: 'internal' }),
    );
    const open = await hold(substrate, { id: 'open' });
    expect(await settleLeftovers(substrate)).toBe(2);
    expect(await settleLeftovers(substrate)).toBe(0);
    expect(await settleOpenIntents(substrate)).toBe(1);
    const log = await allReceipts(substrate);
    for (const intent of [bare.seq, half.intent, open.intent]) {
      expect(log.filter(({ of }) => of === intent)).toHaveLength(1);
    }
    expect(await totals(substrate)).toEqual({ spent: 200, held: 0 });
    await expectConserved(substrate);
    const trust = { out: dir.at('out'), pinnedRoot: seed.pinnedRoot };
    expect(await verifyExport(substrate, trust)).toMatchObject({ verdict: 'proven' });
  });
});
