/** The rules by themselves: who speaks first, and that nothing else decides. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, test } from 'vitest';
import { decide } from '../../../src/mind/rules.ts';
import type { Facts, OrganFacts } from '../../../src/mind/rules.ts';

const NOW = Date.UTC(2026, 10, 21, 7);

const IDLE: OrganFacts = {
  name: 'worker',
  isOn: true,
  isOrphan: false,
  isRunning: false,
  sight: { waiting: 0, nextAt: null, held: null },
  blind: null,
  backOffMs: 0,
  backOffWhy: null,
  takesWorkOn: true,
};
const BUSY: OrganFacts = { ...IDLE, sight: { waiting: 2, nextAt: null, held: null } };
const SEED: Facts = {
  now: NOW,
  distrust: null,
  halted: false,
  paused: false,
  once: false,
  organs: [],
  brakes: [],
  news: [],
};

function decideOne(organ: Partial<OrganFacts>, seed: Partial<Facts> = {}) {
  const [decision] = decide({ ...SEED, ...seed, organs: [{ ...BUSY, ...organ }] });
  return decision!;
}

describe('the rules', () => {
  test.each([
    [{}, {}, 'run', 'work', '2 pieces wait'],
    [
      { sight: { waiting: 1, nextAt: null, held: null } },
      { news: ['1 × change of a task'] },
      'run',
      'work',
      '1 piece waits; since the last look: 1 × change of a task',
    ],
    [
      { sight: { waiting: 0, nextAt: NOW, held: null } },
      {},
      'rest',
      'idle',
      'nothing to do until 2026-11-21T07:00:00Z',
    ],
    [
      { sight: { waiting: 3, nextAt: null, held: 'no usable model' } },
      {},
      'rest',
      'held',
      'waiting: no usable model (3 pieces)',
    ],
    [{ sight: null, blind: 'disk I/O error' }, {}, 'rest', 'blind', 'it could not look: disk I/O error'],
    [
      { backOffMs: 4_001, backOffWhy: 'it failed (internal), 3 times in a row' },
      {},
      'rest',
      'backing off',
      'it failed (internal), 3 times in a row; left alone for 5 s',
    ],
    [{ isRunning: true }, {}, 'rest', 'running', 'it is at work'],
    [{ isOn: false }, {}, 'rest', 'off', 'it is switched off'],
    [{ isOrphan: true }, {}, 'rest', 'orphaned', 'its grant was removed; switching it on gives it another'],
    [{}, { paused: true }, 'rest', 'paused', 'the owner has paused the mind'],
    [{}, { paused: true, once: true }, 'run', 'work', '2 pieces wait'],
    [{}, { halted: true, once: true }, 'rest', 'halted', 'the owner has halted the seed'],
    [{}, { distrust: 'The log is older.' }, 'rest', 'distrusted', 'the log is not trusted: The log is older.'],
    [{ isOn: false, isRunning: true }, {}, 'stop', 'off', 'it is switched off'],
    [{ isRunning: true }, { halted: true }, 'stop', 'halted', 'the owner has halted the seed'],
    [{ isRunning: true }, { paused: true }, 'stop', 'paused', 'the owner has paused the mind'],
    [{ isRunning: true }, { paused: true, once: true }, 'rest', 'running', 'it is at work'],
  ] as const)('%j in %j: %s by "%s"', (organ, seed, act, rule, because) => {
    expect(decideOne(organ, seed)).toEqual({ organ: 'worker', act, rule, because });
  });

  test('a brake of coherence is told to whoever takes work on, and to nobody else', () => {
    const brakes = [{ subsystem: 'billing', since: NOW, reason: 'most of it fails' }];
    expect(decideOne({}, { brakes }).because).toBe(
      '2 pieces wait; coherence keeps it from billing since 2026-11-21T07:00:00.000Z (most of it fails)',
    );
    expect(decideOne({ takesWorkOn: false }, { brakes })).toEqual(decideOne({ takesWorkOn: false }));
  });

  // What keeps an organ from work is rare, or hardly any would ever run.
  const rarely = fc.nat(7).map((n) => n === 0);
  const anOrgan = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    isOn: rarely.map((is) => !is),
    isOrphan: rarely,
    isRunning: rarely,
    sight: fc.option(
      fc.record({ waiting: fc.nat(5), nextAt: fc.option(fc.nat()), held: fc.option(fc.constant('no model')) }),
    ),
    blind: fc.option(fc.string()),
    backOffMs: fc.nat(4).map((n) => Math.max(0, n - 2)),
    backOffWhy: fc.option(fc.string()),
    takesWorkOn: fc.boolean(),
  });
  const someFacts = fc.record({
    now: fc.nat(),
    distrust: rarely.map((is) => (is ? 'forked' : null)),
    halted: rarely,
    paused: rarely,
    once: fc.boolean(),
    organs: fc.array(anOrgan, { maxLength: 5 }),
    brakes: fc.constant([]),
    news: fc.array(fc.string(), { maxLength: 2 }),
  });

  test('decide once of each organ, run nothing that must not run, and are the same each time', () => {
    let ran = 0;
    fc.assert(
      fc.property(someFacts, (facts) => {
        const decisions = decide(facts);
        expect(decisions.map(({ organ }) => organ)).toEqual(facts.organs.map(({ name }) => name));
        expect(JSON.stringify(decide(structuredClone(facts)))).toBe(JSON.stringify(decisions));
        for (const [index, { act, because }] of decisions.entries()) {
          const organ = facts.organs[index]!;
          expect(because).not.toBe('');
          const stopped =
            facts.halted || facts.distrust !== null || (facts.paused && !facts.once) || !organ.isOn || organ.isOrphan;
          const able =
            organ.sight !== null && organ.sight.waiting > 0 && organ.sight.held === null && organ.backOffMs === 0;
          expect(act === 'run').toBe(!stopped && !organ.isRunning && able);
          expect(act === 'stop').toBe(stopped && organ.isRunning);
          if (act === 'run') ran += 1;
        }
      }),
      { numRuns: 500 },
    );
    // The control: enough of them did run.
    expect(ran).toBeGreaterThan(10);
  });
});
