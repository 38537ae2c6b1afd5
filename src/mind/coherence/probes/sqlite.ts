/** A table of a SQLite database outside the seed: the times in one of its columns, of its newest rows. */
import { setTimeout as pause } from 'node:timers/promises';
import { SeedError } from '../../../errors.ts';
import { readOutsideColumn } from '../../../substrate/probes/outside-table.ts';
import type { ProbeLook, ReadPlace } from './probe.ts';
import { newerThan, probeFailed, statFile } from './probe.ts';
import { readTime } from './time.ts';

const TRIES_MAX = 5;
const PAUSE_MS = 50;

/** The newest times; the cursor is the newest of all. */
export const readSqlite: ReadPlace = async (look) => {
  const { place, spec, cursor, now } = look;
  const { table = '', column = '' } = spec;
  await statFile(place);
  const values = await readPatiently(look, { path: place, table, column });
  const times = values.map(readTime).filter((time) => time !== null);
  if (times.length === 0 && values.length > 0) {
    throw probeFailed('no_times', `The column "${column}" of "${table}" in ${place} holds no times.`, {
      hint: 'Name a column of times with --column: ISO 8601, or numbers since 1970.',
    });
  }
  return newerThan(cursor, times, now);
};

/** Waits for whoever writes there outside SQLite, whose own waiting would block everybody here. */
async function readPatiently(
  { driver, signal }: ProbeLook,
  column: Parameters<typeof readOutsideColumn>[1],
): Promise<string[]> {
  for (let tries = 1; ; tries++) {
    try {
      return readOutsideColumn(driver, column);
    } catch (error) {
      const isBusy = error instanceof SeedError && error.data['reason'] === 'busy';
      if (!isBusy || tries === TRIES_MAX) throw error;
      await pause(PAUSE_MS, undefined, { signal });
    }
  }
}
