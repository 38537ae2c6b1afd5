/**
 * A seed that spends, to be killed: sixteen callers, each acknowledged step on a line of its own.
 *
 *   spender.ts HOME DRIVER ROUND LIMIT [POINT NTH]
 *
 * It says `begun` before it opens the home, `open` before it settles what an earlier process left, and
 * `recovered N` after; then `held ID BOUND`, `paid ID COST` and `refused ID`, each once it is durable.
 */
import { writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { lockHome } from '../../../src/substrate/home/lock.ts';
import { settleLeftovers } from '../../../src/substrate/ledger/leftovers.ts';
import type { SqliteDriver } from '../../../src/substrate/store/connection.ts';
import { systemSources } from '../../../src/substrate/sources.ts';
import { openSubstrate } from '../../../src/substrate/substrate.ts';
import { SeedError } from '../../../src/errors.ts';
import { seededNumbers } from '../../support/sources.ts';
import { ceiling, hold, pay, SPENDER } from './rig.ts';

const [home = '', driver = '', round = '', limit = '0', point, nth = '1'] = process.argv.slice(2);
const CALLERS = 16;

const say = (line: string): void => void writeSync(1, `${line}\n`);

let passed = 0;
const fault = (at: string): void => {
  if (at === point && ++passed === Number(nth)) process.kill(process.pid, 'SIGKILL');
};

say('begun');
await lockHome(home, { driver: driver as SqliteDriver, role: 'daemon', waitMs: 10_000 });
const substrate = await openSubstrate({ home, driver: driver as SqliteDriver, sources: systemSources, fault });
if (substrate.distrust !== null) throw substrate.distrust;
say('open');
say(`recovered ${await settleLeftovers(substrate)}`);

const ceilings = [ceiling('seed', 'life', Number(limit)), ceiling('label:customer=*', 'day', Number(limit))];

async function call(caller: number): Promise<never> {
  const random = seededNumbers(`${round} ${caller}`);
  for (let turn = 0; ; turn++) {
    const id = `${round}.${caller}.${turn}`;
    const bound = { inputMicroUsd: 50, outputMicroUsdPerMtok: 1_000_000, maxOutputTokens: 500, minOutputTokens: 10 };
    const labels: Record<string, string> = random(2) === 0 ? {} : { customer: 'acme' };
    try {
      const held = await hold(substrate, { id, bound, ceilings, spender: { ...SPENDER, labels } });
      say(`held ${id} ${held.boundMicroUsd}`);
      await nextTurn();
      const cost = random(held.boundMicroUsd + 1);
      await pay(substrate, held, cost);
      say(`paid ${id} ${cost}`);
    } catch (error) {
      if (!(error instanceof SeedError) || error.code !== 'over_ceiling') throw error;
      say(`refused ${id}`);
    }
  }
}

await Promise.all(Array.from({ length: CALLERS }, (_, caller) => call(caller)));
