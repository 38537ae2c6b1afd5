/** Room on the disk: how fast the database grows, and for how long what is free will do. */
import { statfsSync } from 'node:fs';
import type { ReadHandle, Row, StoreSize, WriteHandle } from '../store/store.ts';
import type { Finding } from './finding.ts';
import { bad, good, warning } from './finding.ts';

const DAY_MS = 86_400_000;
const GROWTH_DAYS_KEPT = 60;

/** Notes today's size of the database, once a day. */
export async function sampleGrowth(tx: WriteHandle, now: number, { database, wal }: StoreSize): Promise<void> {
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  await tx.run(
    'INSERT INTO substrate_growth (day, bytes) VALUES (?, ?) ON CONFLICT (day) DO NOTHING',
    day(now),
    database + wal,
  );
  await tx.run('DELETE FROM substrate_growth WHERE day < ?', day(now - GROWTH_DAYS_KEPT * DAY_MS));
}

interface Sample extends Row {
  readonly day: string;
  readonly bytes: number;
}

/** Bytes a day between the oldest and the newest sample of the last week; null before there are two. */
export async function growthPerDay(db: ReadHandle): Promise<number | null> {
  const samples = await db.all<Sample>('SELECT day, bytes FROM substrate_growth ORDER BY day DESC LIMIT 8');
  const [newest, oldest] = [samples[0], samples.at(-1)];
  if (newest === undefined || oldest === undefined || newest === oldest) return null;
  const days = (Date.parse(newest.day) - Date.parse(oldest.day)) / DAY_MS;
  return Math.max(0, (newest.bytes - oldest.bytes) / days);
}

const FREE_BYTES_BAD = 100 * 1024 * 1024;
const FREE_BYTES_LOW = 1024 * 1024 * 1024;
const FREE_DAYS_LOW = 30;

/** Room on the disk, and for how long it will do; `growth` in bytes a day, null while it is not known. */
export function checkDisk(home: string, size: StoreSize, growth: number | null): Finding {
  const { bavail, bsize } = statfsSync(home);
  const free = bavail * bsize;
  const grows = growth === null ? 'growth is known after the second day' : `grows ${megabytes(growth)} a day`;
  const says = `The database has ${megabytes(size.database + size.wal)}, ${grows}; ${megabytes(free)} are free.`;
  const advice = 'Free some space, or move the home to a larger disk.';
  if (free < FREE_BYTES_BAD) return bad('disk', says, advice);
  const days = growth === null || growth === 0 ? Number.POSITIVE_INFINITY : free / growth;
  return free < FREE_BYTES_LOW || days < FREE_DAYS_LOW ? warning('disk', says, advice) : good('disk', says);
}

function megabytes(bytes: number): string {
  const mb = bytes / (1024 * 1024);
  return mb >= 10_240 ? `${(mb / 1024).toFixed(0)} GB` : `${mb.toFixed(mb < 10 ? 1 : 0)} MB`;
}
