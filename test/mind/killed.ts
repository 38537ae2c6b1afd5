/** For programs that a test kills in the middle and starts again: their home as a daemon opens it. */
import { writeSync } from 'node:fs';
import { settleEarlierBoot } from '../../src/substrate/earlier-boot.ts';
import { lockHome } from '../../src/substrate/home/lock.ts';
import { systemSources } from '../../src/substrate/sources.ts';
import type { Substrate } from '../../src/substrate/substrate.ts';
import { openSubstrate } from '../../src/substrate/substrate.ts';

const DRIVER = 'better-sqlite3';

/** Says a line to the test, before anything else happens. */
export function write(line: string): void {
  writeSync(1, `${line}\n`);
}

export interface ToBeKilled {
  readonly substrate: Substrate;
  /** Kills this process at the point that was named. */
  readonly fault: (at: string) => void;
}

/** Opens a home, to be killed at the `nth` time that it passes `point`; without a point it is not. */
export async function openToBeKilled(home: string, point: string | undefined, nth = '1'): Promise<ToBeKilled> {
  let passed = 0;
  const fault = (at: string): void => {
    if (at === point && ++passed === Number(nth)) process.kill(process.pid, 'SIGKILL');
  };
  await lockHome(home, { driver: DRIVER, role: 'daemon', waitMs: 10_000 });
  const substrate = await openSubstrate({ home, driver: DRIVER, sources: systemSources, fault });
  await settleEarlierBoot(substrate);
  return { substrate, fault };
}
