/** Homes to measure on: an empty one, and one with as many receipts as asked for. */
import { createHome } from '../../src/substrate/home/create.ts';
import { systemSources } from '../../src/substrate/sources.ts';
import type { Substrate } from '../../src/substrate/substrate.ts';
import { openSubstrate } from '../../src/substrate/substrate.ts';
import { operations } from './operate.ts';

const IN_FLIGHT = 512;
const STEP = 100_000;

const DRIVER = 'better-sqlite3';

export async function openBenchHome(home: string, port: number): Promise<Substrate> {
  await createHome({
    home,
    driver: DRIVER,
    sources: systemSources,
    port,
    passphrase: null,
    runtimeFolder: null,
    version: 'bench',
  });
  return openSubstrate({ home, driver: DRIVER, sources: systemSources });
}

/** Fills a home up to that many receipts. */
export async function fillHome(substrate: Substrate, receipts: number, say: (text: string) => void): Promise<void> {
  for (let { size } = await substrate.log(); size < receipts; { size } = await substrate.log()) {
    const count = Math.min(STEP, receipts - size);
    const { perSecond } = await operations(substrate, { operations: count, inFlight: IN_FLIGHT, effect: 'none' });
    say(`${(size + count).toLocaleString('en')} receipts, ${Math.round(perSecond).toLocaleString('en')}/s`);
  }
}
