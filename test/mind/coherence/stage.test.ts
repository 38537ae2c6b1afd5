/** What must be shown before a stage, in both directions. */
import * as fc from '../../support/fast-check.ts';
import { describe, expect, it } from 'vitest';
import { actOf, assess, mayAct, stageAfter, stageBefore } from '../../../src/mind/coherence/stage.ts';
import { STAGES } from '../../../src/substrate/coherence/subsystems.ts';

const NONE = { right: 0, wrong: 0, unlabelled: 0, completed: 0 };
const STEPS = ['shadow', 'advise', 'govern'] as const;

describe('[LOCK-MIND-2] a stage is earned', () => {
  it.each([
    ['shadow', 3, 29],
    ['advise', 5, 59],
    ['govern', 14, 149],
  ] as const)(
    '%s takes %i alarms that were right, and %i completions without a false one',
    (stage, right, completed) => {
      expect(assess(stage, { ...NONE, right, completed })).toMatchObject({ allowed: true, missing: [] });
      expect(assess(stage, { ...NONE, right: right - 1, completed }).missing).toEqual([
        expect.stringMatching(new RegExp(`takes ${right} right ones; there are ${right - 1}\\.$`)),
      ]);
      expect(assess(stage, { ...NONE, right, completed: completed - 1 }).missing).toEqual([
        expect.stringMatching(new RegExp(`takes ${completed} completions under watch; there are ${completed - 1}\\.$`)),
      ]);
    },
  );

  it('one wrong alarm, or one that nobody has looked at, costs several right ones', () => {
    const enough = { ...NONE, right: 14, completed: 100_000 };
    expect(assess('govern', { ...enough, wrong: 1 }).allowed).toBe(false);
    expect(assess('govern', { ...enough, unlabelled: 1 }).allowed).toBe(false);
    expect(assess('govern', { ...enough, right: 22, wrong: 1 }).allowed).toBe(true);
    expect(assess('govern', { ...enough, right: 22, unlabelled: 1 }).allowed).toBe(true);
  });

  it('says just what is missing: with that it is allowed, with one less it is not', () => {
    const count = fc.integer({ min: 0, max: 60 });
    fc.assert(
      fc.property(fc.constantFrom(...STEPS), count, count, count, (stage, right, wrong, completed) => {
        const evidence = { right, wrong, unlabelled: 0, completed: completed + wrong };
        const told = assess(stage, evidence).missing.join(' ');
        const rightNeeded = Number(/takes (\d+) right/.exec(told)?.[1] ?? right);
        const doneNeeded = Number(/takes (\d+) completions/.exec(told)?.[1] ?? evidence.completed);
        const enough = { ...evidence, right: rightNeeded, completed: doneNeeded };
        expect(assess(stage, enough).allowed).toBe(true);
        if (rightNeeded > right) expect(assess(stage, { ...enough, right: rightNeeded - 1 }).allowed).toBe(false);
        if (doneNeeded > evidence.completed) {
          expect(assess(stage, { ...enough, completed: doneNeeded - 1 }).allowed).toBe(false);
        }
      }),
    );
  });

  it('each stage asks for more than the one before', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.nat(5), fc.nat(400), (right, wrong, completed) => {
        const allowed = STEPS.map((stage) => assess(stage, { right, wrong, unlabelled: 0, completed }).allowed);
        expect(allowed).toEqual(allowed.toSorted((a, b) => Number(b) - Number(a)));
      }),
    );
  });
});

describe('what a stage may do', () => {
  it('goes one step at a time, and ends at either end', () => {
    expect(STAGES.map(stageAfter)).toEqual(['shadow', 'advise', 'govern', null]);
    expect(STAGES.map(stageBefore)).toEqual([null, 'observe', 'shadow', 'advise']);
    expect(STAGES.map(mayAct)).toEqual([false, false, true, true]);
  });

  it('only failing work is held back: to hold back what is silent would keep it silent', () => {
    expect(STAGES.map((stage) => actOf(stage, 'failing'))).toEqual([
      null,
      'would have told the owner and, governing, paused intake',
      'told the owner',
      'told the owner and paused intake',
    ]);
    expect(actOf('govern', 'stall')).toBe('told the owner');
    expect(actOf('govern', 'cycle')).toBe('told the owner');
  });
});
