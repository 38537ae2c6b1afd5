/**
 * What the doctor looks at, in the store and the home. Each check answers in words; none changes
 * anything.
 */
import { existsSync, statfsSync, statSync } from 'node:fs';
import { parseReceipt, receiptHash } from '../formats/receipt.ts';
import { HOME_ENTRIES, homePath } from './home/layout.ts';
import { KEY_NAMES, keyMode, passphrasePath } from './identity/keys.ts';
import { readHeld, assertContinues } from './receipts/held.ts';
import { getReceiptLines } from './receipts/query.ts';
import { fastSha256 } from './receipts/sha256.ts';
import type { ReadHandle, Row, StoreSize, SubstrateReader, WriteHandle } from './substrate.ts';

export interface Finding {
  readonly check: string;
  readonly verdict: 'good' | 'warning' | 'bad';
  /** What is so. */
  readonly says: string;
  /** What to do about it; empty when there is nothing to do. */
  readonly advice: string;
}

const good = (check: string, says: string): Finding => ({ check, verdict: 'good', says, advice: '' });
const warning = (check: string, says: string, advice: string): Finding => ({ check, verdict: 'warning', says, advice });
const bad = (check: string, says: string, advice: string): Finding => ({ check, verdict: 'bad', says, advice });

/** The files of the home, and who else on the box could read them. */
export function checkHome(home: string): Finding {
  const missing = (['database', 'keys', 'root', 'owner'] as const).filter((name) => !existsSync(homePath(home, name)));
  if (missing.length > 0) {
    const names = missing.map((name) => HOME_ENTRIES[name].path).join(', ');
    return bad('home', `${names} missing in ${home}.`, 'Restore the home from a backup.');
  }
  const folders = [home, ...(['keys', 'owner', 'credentials'] as const).map((name) => homePath(home, name))];
  const open = folders.filter((path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0);
  if (open.length === 0) return good('home', `${home} is complete and closed to others.`);
  return bad('home', 'Other users of this machine can look into private folders.', `chmod 700 ${open.join(' ')}`);
}

/** The private keys: there, and readable for the owner alone. */
export function checkKeys(home: string): Finding {
  const folder = homePath(home, 'keys');
  const modes = KEY_NAMES.map((name) => ({ name, mode: keyMode(folder, name) }));
  const gone = modes.filter(({ name, mode }) => mode === null && name !== 'root-next');
  if (gone.length > 0)
    return bad(
      'keys',
      `Missing: ${gone.map(({ name }) => name).join(', ')}.`,
      'Restore the folder keys from a backup.',
    );
  if (modes.some(({ mode }) => mode !== null && (mode & 0o077) !== 0)) {
    return bad('keys', 'Other users of this machine can read private keys.', `chmod 600 ${folder}/*`);
  }
  return good('keys', 'Private keys are readable for you alone.');
}

/** Whether the owner can be told from another program with the owner's user id. */
export function checkPassphrase(home: string): Finding {
  if (existsSync(passphrasePath(home))) return good('passphrase', 'Owner acts ask for the owner passphrase.');
  return warning(
    'passphrase',
    'No owner passphrase: every program that runs as you can act as the owner, agents with a shell included.',
    'A passphrase is chosen when a home is made (`seed init --passphrase`). Without one, run agents under another user.',
  );
}

export function checkRoot({ root, seed }: Pick<SubstrateReader, 'root' | 'seed'>): Finding {
  return good('root', `Root of trust of seed ${seed.slice(0, 12)}… verifies, version ${root.current.signed.version}.`);
}

/** The log against the checkpoint kept outside it, and its newest receipts against each other. */
export async function checkLog(substrate: SubstrateReader): Promise<Finding> {
  const state = await substrate.log();
  const path = homePath(substrate.home, 'checkpoint');
  try {
    const held = readHeld(path);
    if (held === null)
      return bad(
        'log',
        'The checkpoint kept outside the database is missing.',
        'Put it back, or take the log as it is with `seed receipts accept-rollback`.',
      );
    await substrate.read((db) => assertContinues(db, { state, held, root: substrate.root, path }));
    const broken = await substrate.read((db) => firstBrokenLink(db, Math.max(0, state.size - RECENT_RECEIPTS), state));
    if (broken !== null)
      return bad(
        'log',
        `Receipt ${broken} does not follow the one before it.`,
        'Export the log and run `seed receipts verify` on it.',
      );
    return good(
      'log',
      `${state.size} receipts continue the checkpoint kept outside; the newest ${Math.min(state.size, RECENT_RECEIPTS)} are linked.`,
    );
  } catch (error) {
    const { message, hint } = error as { message: string; hint?: string };
    return bad('log', message, hint ?? 'Export the log and run `seed receipts verify` on it.');
  }
}

const RECENT_RECEIPTS = 1_000;

async function firstBrokenLink(
  db: ReadHandle,
  start: number,
  { size, prev }: { size: number; prev: string },
): Promise<number | null> {
  const lines = await getReceiptLines(db, start, size - start);
  let before: string | null = null;
  for (const [index, line] of lines.entries()) {
    if (before !== null && parseReceipt(line).prev !== before) return start + index;
    before = receiptHash(Buffer.from(line), fastSha256);
  }
  return before === null || before === prev ? null : size - 1;
}

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
async function growthPerDay(db: ReadHandle): Promise<number | null> {
  const samples = await db.all<Sample>('SELECT day, bytes FROM substrate_growth ORDER BY day DESC LIMIT 8');
  const [newest, oldest] = [samples[0], samples.at(-1)];
  if (newest === undefined || oldest === undefined || newest === oldest) return null;
  const days = (Date.parse(newest.day) - Date.parse(oldest.day)) / DAY_MS;
  return Math.max(0, (newest.bytes - oldest.bytes) / days);
}

const FREE_BYTES_BAD = 100 * 1024 * 1024;
const FREE_BYTES_LOW = 1024 * 1024 * 1024;
const FREE_DAYS_LOW = 30;

/** Room on the disk, and for how long it will do. */
export async function checkDisk(substrate: SubstrateReader, size: StoreSize): Promise<Finding> {
  const { bavail, bsize } = statfsSync(substrate.home);
  const free = bavail * bsize;
  const growth = await substrate.read(growthPerDay);
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
