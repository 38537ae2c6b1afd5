/** A seed killed under load, at named points and at random, recovery included: nothing acknowledged is lost. */
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Receipt } from '../../src/formats/receipt.ts';
import type { SqliteDriver } from '../../src/substrate/store/connection.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import type { Child } from '../support/child.ts';
import { startNode } from '../support/child.ts';
import { allReceipts, DRIVERS, makeHome, openAgain, verifyExport } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { seededNumbers } from '../support/sources.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';
const LOAD = fileURLToPath(new URL('./load.ts', import.meta.url));
const FAULT_POINTS = ['store.begun', 'group.seal', 'store.commit.before', 'store.commit.after', 'group.answer'];

/** What was acknowledged, over all rounds. */
interface Acknowledged {
  readonly puts: Map<number, string>;
  readonly erasures: Map<number, string>;
  readonly intents: Set<number>;
  readonly settled: Map<number, number>;
  readonly refused: Set<number>;
}

function note(acknowledged: Acknowledged, lines: readonly string[]): void {
  for (const line of lines) {
    const [what, seq, more = ''] = line.split(' ');
    if (what === 'put') acknowledged.puts.set(Number(seq), more);
    if (what === 'erase') acknowledged.erasures.set(Number(seq), more);
    if (what === 'intent') acknowledged.intents.add(Number(seq));
    if (what === 'settled') acknowledged.settled.set(Number(seq), Number(more));
    if (what === 'refused') acknowledged.refused.add(Number(seq));
  }
}

/** What of the acknowledged the receipts do not say. */
function lost(receipts: readonly Receipt[], acknowledged: Acknowledged): unknown[] {
  const at = (seq: number): Partial<Receipt> => receipts[seq] ?? {};
  return [
    ...[...acknowledged.puts].filter(([seq, hash]) => at(seq).input !== hash || at(seq).outcome !== 'ok'),
    ...[...acknowledged.erasures].filter(([seq, hash]) => at(seq).subject?.id !== hash || at(seq).outcome !== 'ok'),
    ...[...acknowledged.intents].filter((seq) => at(seq).outcome !== 'intent'),
    ...[...acknowledged.settled].filter(([seq, of]) => at(seq).of !== of),
    ...[...acknowledged.refused].filter((seq) => at(seq).outcome !== 'refused'),
  ];
}

/** The content that the receipts say is there. */
function contentOf(receipts: readonly Receipt[]): string[] {
  const there = new Set<string>();
  for (const { action, outcome, input, subject } of receipts) {
    if (action === 'note.put' && outcome === 'ok' && input !== null) there.add(input);
    if (action === 'note.erase' && outcome === 'ok') there.delete(subject.id);
  }
  return [...there].sort();
}

async function examine(
  home: string,
  options: { driver: SqliteDriver; out: string; acknowledged: Acknowledged },
): Promise<number> {
  const { driver, out, acknowledged } = options;
  const heldCheckpoint = readFileSync(homePath(home, 'checkpoint'), 'utf8');
  await using seed = await openAgain(home, { driver });
  const { substrate } = seed;
  expect(substrate.distrust).toBeNull();
  const receipts = await allReceipts(substrate);
  expect(lost(receipts, acknowledged)).toEqual([]);
  const rows = await substrate.read((db) =>
    db.all<{ hash: string }>('SELECT hash FROM substrate_content ORDER BY hash'),
  );
  expect(rows.map(({ hash }) => hash)).toEqual(contentOf(receipts));
  expect(await substrate.check()).toEqual([]);
  rmSync(out, { recursive: true, force: true });
  const verdict = await verifyExport(substrate, { out, pinnedRoot: seed.pinnedRoot, heldCheckpoint });
  expect(verdict).toMatchObject({ verdict: 'proven', size: receipts.length, continuesHeld: true, firstBroken: null });
  return receipts.length;
}

interface Kill {
  /** Ends the child, or waits until it has ended itself. */
  readonly end: (child: Child) => Promise<void>;
  readonly args: readonly string[];
  readonly name: string;
}

function atPoint(point: string, nth: number): Kill {
  return { name: `${point}:${nth}`, args: [point, `${nth}`], end: async (child) => void (await child.ended) };
}

function afterLines(count: number): Kill {
  return {
    name: `after ${count} lines`,
    args: [],
    end: async (child) => {
      await child.line(() => child.lines.length >= count);
      child.kill('SIGKILL');
    },
  };
}

/** While the home is being opened, or as soon as it is: recovery itself is killed. */
function inRecovery(when: 'begun' | 'open'): Kill {
  return {
    name: `in recovery, ${when}`,
    args: [],
    end: async (child) => {
      await child.line((line) => line.startsWith(when));
      child.kill('SIGKILL');
    },
  };
}

function plan(name: string, rounds: number): Kill[] {
  const random = seededNumbers(name);
  return Array.from({ length: rounds }, (_, index): Kill[] => {
    const point = FAULT_POINTS[index % FAULT_POINTS.length]!;
    return [
      atPoint(point, 1 + random(IS_LONG ? 200 : 30)),
      ...(index % 2 === 0 ? [inRecovery(index % 4 === 0 ? 'begun' : 'open')] : []),
      ...(index % 5 < 2 ? [afterLines(2 + random(400))] : []),
    ];
  }).flat();
}

describe.each(DRIVERS)('a seed on %s', (driver) => {
  const kills = plan(driver, IS_LONG ? 25 : driver === 'better-sqlite3' ? 5 : 2);

  it(`[LOCK-RECEIPT-1] [LOCK-RECEIPT-2] killed ${kills.length} times loses nothing that it acknowledged`, async () => {
    using dir = scratch();
    const home = dir.at('home');
    await makeHome(home, { driver });
    const acknowledged: Acknowledged = {
      puts: new Map(),
      erasures: new Map(),
      intents: new Set(),
      settled: new Map(),
      refused: new Set(),
    };
    let size = 1;
    for (const [index, kill] of kills.entries()) {
      await using child = startNode([LOAD, home, driver, `${driver} ${index}`, ...kill.args]);
      await kill.end(child);
      const { code, signal } = await child.ended;
      expect([kill.name, code, signal, child.errors()]).toEqual([kill.name, null, 'SIGKILL', '']);
      note(acknowledged, child.lines);
      const now = await examine(home, { driver, out: dir.at('out'), acknowledged });
      expect(now).toBeGreaterThanOrEqual(size);
      size = now;
    }
    expect(acknowledged.puts.size).toBeGreaterThan(kills.length);
    expect(acknowledged.refused.size).toBeGreaterThan(0);
    // The control: the same examination finds a receipt that was acknowledged and is not there.
    acknowledged.puts.set(size, 'ab'.repeat(32));
    await expect(examine(home, { driver, out: dir.at('out'), acknowledged })).rejects.toThrow('to deeply equal');
    process.stdout.write(`${driver}: ${kills.length} kills, ${size} receipts, none lost\n`);
  });
});
