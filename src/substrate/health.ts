/**
 * What the doctor looks at. It opens what a start opens, by the same checks, and changes nothing;
 * each check answers in words, and none keeps another from being made.
 */
import { toSeedError } from '../errors.ts';
import type { RootChain } from '../formats/root.ts';
import { checkDisk, growthPerDay } from './health/disk.ts';
import { checkHome, checkKeys, checkLock, checkPassphrase, checkSettings } from './health/files.ts';
import type { Finding } from './health/finding.ts';
import { bad, good } from './health/finding.ts';
import type { LogWork } from './health/log.ts';
import { checkDatabase, checkLog } from './health/log.ts';
import { homePath } from './home/layout.ts';
import { loadRoot } from './identity/root.ts';
import type { SqliteDriver } from './store/connection.ts';
import { sqliteCode } from './store/connection.ts';
import { fileSizes } from './store/sqlite.ts';
import type { Read } from './trust.ts';
import { schemaAltered } from './trust.ts';

export { sampleGrowth } from './health/disk.ts';
export type { Finding } from './health/finding.ts';

export interface Patient extends LogWork {
  readonly home: string;
  readonly driver: SqliteDriver;
  /** One view of the database; throws what opening it throws. */
  readonly read: Read;
}

/** Examines a home as it lies on the disk, whether or not a daemon serves it. */
export async function examineHome({ home, driver, read, ...work }: Patient): Promise<Finding[]> {
  const { chain, finding: root } = await examineRoot(home);
  const files = [
    await examine('home', () => checkHome(home)),
    await examine('settings', () => checkSettings(home, chain)),
    await examine('lock', () => checkLock(home, driver)),
    await examine('keys', () => checkKeys(home, chain)),
    await examine('passphrase', () => checkPassphrase(home)),
    root,
  ];
  const database = await examine('database', () => checkDatabase(home, read, driver));
  const opens = database.verdict === 'good';
  const log = opens && chain !== null ? [await examine('log', () => checkLog(home, read, chain, work))] : [];
  const disk = await examine('disk', async () => {
    const growth = opens ? await read(growthPerDay) : null;
    return checkDisk(home, fileSizes(homePath(home, 'database')), growth);
  });
  return [...files, database, ...log, disk];
}

/** The worst of several verdicts. */
export function worstOf(findings: readonly Finding[]): Finding['verdict'] {
  const verdicts = new Set(findings.map(({ verdict }) => verdict));
  return verdicts.has('bad') ? 'bad' : verdicts.has('warning') ? 'warning' : 'good';
}

async function examineRoot(home: string): Promise<{ chain: RootChain | null; finding: Finding }> {
  let chain: RootChain | null = null;
  const finding = await examine('root', () => {
    ({ chain } = loadRoot(homePath(home, 'root')));
    const { seed, current } = chain;
    return good('root', `Root of trust of seed ${seed.slice(0, 12)}… verifies, version ${current.signed.version}.`);
  });
  return { chain, finding };
}

/** What a check throws is what it found. @throws SeedError `interrupted` */
export async function examine(check: string, fn: () => Finding | Promise<Finding>): Promise<Finding> {
  try {
    return await fn();
  } catch (thrown) {
    const { code, message, hint } = toSeedError(thrown);
    if (code === 'interrupted') throw thrown;
    if (code !== 'internal') return bad(check, message, hint);
    if (sqliteCode(thrown) !== null) return examine(check, () => Promise.reject(schemaAltered(thrown)));
    return bad(check, message, 'Check that the file is there and that you may read it.');
  }
}
