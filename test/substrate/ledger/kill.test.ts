/** A spending seed killed between holding and settling, recovery included: no money is lost, none stays held. */
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { settleLeftovers } from '../../../src/substrate/ledger/leftovers.ts';
import type { SqliteDriver } from '../../../src/substrate/store/connection.ts';
import type { Child } from '../../support/child.ts';
import { startNode } from '../../support/child.ts';
import { allReceipts, DRIVERS, makeHome, openAgain, verifyExport } from '../../support/home.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import { seededNumbers } from '../../support/sources.ts';
import { expectConserved, totals } from './rig.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';
const SPENDER = fileURLToPath(new URL('./spender.ts', import.meta.url));
const PATIENCE_MS = IS_LONG ? 600_000 : 120_000;
const POINTS = ['store.begun', 'group.seal', 'store.commit.before', 'store.commit.after', 'group.answer'];

interface Kill {
  readonly name: string;
  readonly args: readonly string[];
  /** Ends the child, or waits until it has ended itself. */
  readonly end: (child: Child) => Promise<void>;
}

function atPoint(point: string, nth: number): Kill {
  return { name: `${point}:${nth}`, args: [point, `${nth}`], end: async (child) => void (await child.ended) };
}

function onLine(name: string, fits: (child: Child) => (line: string) => boolean): Kill {
  return {
    name,
    args: [],
    end: async (child) => {
      await child.line(fits(child));
      child.kill('SIGKILL');
    },
  };
}

function plan(name: string, rounds: number): Kill[] {
  const random = seededNumbers(name);
  return Array.from({ length: rounds }, (_, index): Kill[] => [
    atPoint(POINTS[index % POINTS.length]!, 3 + random(IS_LONG ? 200 : 40)),
    // Recovery's own transactions come first.
    atPoint(POINTS[(index + 2) % POINTS.length]!, 1 + random(2)),
    ...(index % 2 === 0 ? [onLine('while it opens', () => (line) => line === 'open')] : []),
    onLine('with money held', () => (line) => line.startsWith('held')),
    onLine('under load', (child) => () => child.lines.length > 150),
  ]).flat();
}

interface Acknowledged {
  readonly held: Map<string, number>;
  readonly paid: Map<string, number>;
  refused: number;
}

function note(acknowledged: Acknowledged, lines: readonly string[]): void {
  for (const line of lines) {
    const [what, id = '', amount] = line.split(' ');
    if (what === 'held') acknowledged.held.set(id, Number(amount));
    if (what === 'paid') acknowledged.paid.set(id, Number(amount));
    if (what === 'refused') acknowledged.refused++;
  }
}

function inOrder(facts: readonly (readonly unknown[])[]): string[] {
  return facts.map((fact) => JSON.stringify(fact)).toSorted();
}

interface Books {
  readonly dir: Scratch;
  readonly driver: SqliteDriver;
  readonly limit: number;
  readonly acknowledged: Acknowledged;
}

async function audit(home: string, { dir, driver, limit, acknowledged }: Books): Promise<number> {
  await using seed = await openAgain(home, { driver });
  const { substrate } = seed;
  expect(substrate.distrust).toBeNull();
  const before = await totals(substrate);
  expect(before.spent + before.held).toBeLessThanOrEqual(limit);
  const recovered = await settleLeftovers(substrate);

  const after = await totals(substrate);
  expect(after).toEqual({ spent: before.spent + before.held, held: 0 });
  await expectConserved(substrate);
  const rows = await substrate.read((db) =>
    db.all<{ id: string; receipt: number; bound_micro_usd: number; cost_micro_usd: number | null }>(
      'SELECT id, receipt, bound_micro_usd, cost_micro_usd FROM substrate_ledger',
    ),
  );
  const costs = new Map(rows.map((row) => [row.id, row.cost_micro_usd]));
  const bounds = new Map(rows.map((row) => [row.id, row.bound_micro_usd]));
  // What was acknowledged holds.
  for (const [id, cost] of acknowledged.paid) expect([id, costs.get(id)]).toEqual([id, cost]);
  for (const [id, bound] of acknowledged.held) expect([id, bounds.get(id)]).toEqual([id, bound]);
  // The receipts say the same as the ledger: one intent and one outcome for each attempt.
  const receipts = await allReceipts(substrate);
  const intents = receipts.filter(({ outcome }) => outcome === 'intent');
  expect(inOrder(intents.map(({ seq, subject }) => [subject.id, seq]))).toEqual(
    inOrder(rows.map(({ id, receipt }) => [id, receipt])),
  );
  const outcomes = receipts.filter(({ of }) => of !== null);
  expect(inOrder(outcomes.map(({ of, subject, detail }) => [subject.id, of, detail['cost_micro_usd']]))).toEqual(
    inOrder(rows.map(({ id, receipt, cost_micro_usd: cost }) => [id, receipt, cost])),
  );
  rmSync(dir.at('out'), { recursive: true, force: true });
  const verdict = await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: seed.pinnedRoot });
  expect(verdict).toMatchObject({ verdict: 'proven', size: receipts.length });
  return recovered;
}

describe.each(DRIVERS)('a spending seed on %s', (driver) => {
  const kills = plan(driver, IS_LONG ? 12 : driver === 'better-sqlite3' ? 3 : 1);

  it(`[LOCK-RUNTIME-3] killed ${kills.length} times holds nothing, lost nothing, and spent no more than its limit`, {
    timeout: PATIENCE_MS,
  }, async () => {
    using dir = scratch();
    const home = dir.at('home');
    await makeHome(home, { driver });
    const acknowledged: Acknowledged = { held: new Map(), paid: new Map(), refused: 0 };
    let recovered = 0;
    let limit = 0;
    // When a kill comes is chance: more of them, until one has met money that was held.
    for (let index = 0; index < kills.length || (recovered === 0 && index < 5 * kills.length); index++) {
      const kill = kills[index % kills.length]!;
      // Each round may spend a little more, so that it both spends and is refused.
      limit += 8_000;
      const args = [SPENDER, home, driver, `${index}`, `${limit}`, ...kill.args];
      await using child = startNode(args);
      await kill.end(child);
      const { code, signal } = await child.ended;
      expect([kill.name, code, signal, child.errors()]).toEqual([kill.name, null, 'SIGKILL', '']);
      note(acknowledged, child.lines);
      // Every other time the next process finds the money held.
      if (index % 2 === 0) recovered += await audit(home, { dir, driver, limit, acknowledged });
    }
    recovered += await audit(home, { dir, driver, limit, acknowledged });
    expect(recovered).toBeGreaterThan(0);
    expect(Math.min(acknowledged.paid.size, acknowledged.refused)).toBeGreaterThan(0);
    // The control: the same audit finds money that was acknowledged and is not booked.
    acknowledged.paid.set('never', 5);
    await expect(audit(home, { dir, driver, limit, acknowledged })).rejects.toThrow('to deeply equal');
  });
});
