/** Homes and substrates for tests, and what the log of one must always be. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SeedError } from '../../src/errors.ts';
import type { Receipt } from '../../src/formats/receipt.ts';
import { parseReceipt } from '../../src/formats/receipt.ts';
import type { Verdict } from '../../src/formats/verify.ts';
import { createLogVerifier } from '../../src/formats/verify.ts';
import type { Actor } from '../../src/substrate/actor.ts';
import { createHome } from '../../src/substrate/home/create.ts';
import { exportLog } from '../../src/substrate/receipts/export.ts';
import { getReceiptLines } from '../../src/substrate/receipts/query.ts';
import type { SqliteDriver } from '../../src/substrate/store/connection.ts';
import type { SubstrateOptions, SubstrateReader, Substrate } from '../../src/substrate/substrate.ts';
import { openSubstrate } from '../../src/substrate/substrate.ts';
import { nodeSha } from '../formats/build-log.ts';
import type { Scratch } from './scratch.ts';
import type { TestSources } from './sources.ts';
import { testSources } from './sources.ts';

export const DRIVERS: readonly SqliteDriver[] = ['better-sqlite3', 'node:sqlite'];

/** An agent whose grant is not looked up. */
export const CURSOR: Actor = { id: 'cursor', kind: 'agent', grant: null, scopes: new Set() };

export interface HomeOptions {
  readonly driver?: SqliteDriver;
  readonly sources?: TestSources;
  readonly passphrase?: string | null;
  readonly fault?: (point: string) => void;
}

/** Makes a home at `home`. */
export async function makeHome(home: string, options: HomeOptions = {}): Promise<boolean> {
  const { driver = 'better-sqlite3', sources = testSources(), passphrase = null, fault } = options;
  return createHome({
    home,
    driver,
    sources,
    passphrase,
    port: 7331,
    runtimeFolder: null,
    version: '0.0.0',
    ...(fault === undefined ? {} : { fault }),
  });
}

export interface TestSeed extends AsyncDisposable {
  readonly home: string;
  readonly sources: TestSources;
  readonly substrate: Substrate;
  /** Text of `root/1.json`, as somebody else would have pinned it. */
  readonly pinnedRoot: string;
}

/** A home of its own with its substrate opened. */
export async function openSeed(
  { at }: Scratch,
  options: HomeOptions & Partial<SubstrateOptions> = {},
): Promise<TestSeed> {
  const { driver = 'better-sqlite3', sources = testSources() } = options;
  const home = at('home');
  await makeHome(home, { driver, sources });
  return openAgain(home, { ...options, driver, sources });
}

/** The substrate of a home that is there. */
export async function openAgain(
  home: string,
  options: HomeOptions & Partial<SubstrateOptions> = {},
): Promise<TestSeed> {
  const { driver = 'better-sqlite3', sources = testSources('again'), fault, onBackgroundError } = options;
  const substrate = await openSubstrate({
    home,
    driver,
    sources,
    ...(fault === undefined ? {} : { fault }),
    ...(onBackgroundError === undefined ? {} : { onBackgroundError }),
  });
  return {
    home,
    sources,
    substrate,
    pinnedRoot: readFileSync(join(home, 'root', '1.json'), 'utf8'),
    [Symbol.asyncDispose]: () => substrate.close(),
  };
}

/** Exports the log and verifies it with nothing but the formats kernel. */
export async function verifyExport(
  substrate: SubstrateReader,
  { out, pinnedRoot, heldCheckpoint }: { out: string; pinnedRoot: string; heldCheckpoint?: string },
): Promise<Verdict> {
  const { size, checkpoint } = await substrate.log();
  const signal = new AbortController().signal;
  await exportLog(substrate, { out, size, checkpoint, signal, onProgress: () => {} });
  return verifyFolder(out, { pinnedRoot, versions: substrate.root.current.signed.version, heldCheckpoint });
}

/** The verdict on an exported folder. */
export function verifyFolder(
  folder: string,
  options: { pinnedRoot: string; versions?: number; heldCheckpoint?: string | undefined },
): Verdict {
  const { pinnedRoot, versions = 1, heldCheckpoint } = options;
  const text = (...names: readonly string[]): string => readFileSync(join(folder, ...names), 'utf8');
  const verifier = createLogVerifier({
    roots: Array.from({ length: versions }, (_, index) => text('root', `${index + 1}.json`)),
    checkpoint: text('checkpoint'),
    pinnedRoot,
    sha: nodeSha,
    ...(heldCheckpoint === undefined ? {} : { heldCheckpoint }),
  });
  verifier.write(readFileSync(join(folder, 'receipts.jsonl')));
  return verifier.finish();
}

/** Every receipt, oldest first. */
export async function allReceipts(substrate: SubstrateReader): Promise<Receipt[]> {
  const lines = await substrate.read((db) => getReceiptLines(db, 0, 1_000_000));
  return lines.map((line) => parseReceipt(line));
}

/** The code that some work is refused with, or `none`. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: unknown) => (error instanceof SeedError ? error.code : String(error)),
  );
}
