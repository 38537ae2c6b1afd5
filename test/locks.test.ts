/** Every lock that has landed is proven by a test that names it, and no test names one that is not there. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Lock } from './locks.ts';
import { LOCKS } from './locks.ts';

/** The title of a test or of a group of them: the first argument of `it(…)`, or of what `it.each(…)` gives. */
const TITLE = /(?:\b(?:it|test|describe)(?:\.\w+)*|\))\s*\(\s*(['"`])((?:\\.|(?!\1)[\s\S])*)\1/g;

/** The locks that the titles in a file cite. */
function citedIn(source: string): string[] {
  const titles = [...source.matchAll(TITLE)].map((match) => match[2] ?? '');
  return titles.flatMap((title) => [...title.matchAll(/\[(LOCK-[A-Z]+-\d+)\]/g)].map((match) => match[1] ?? ''));
}

function citations(): Set<string> {
  const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' });
  const tests = files.filter((name) => name.endsWith('.test.ts') && name !== 'locks.test.ts');
  return new Set(tests.flatMap((name) => citedIn(readFileSync(join(import.meta.dirname, name), 'utf8'))));
}

/** What is wrong between the locks and what tests cite. */
function problems(locks: readonly Lock[], cited: ReadonlySet<string>): string[] {
  const known = new Set(locks.map(({ id }) => id));
  return [
    ...locks.filter(({ id, since }) => since !== null && !cited.has(id)).map(({ id }) => `${id} has landed untested`),
    ...[...cited].filter((id) => !known.has(id)).map((id) => `${id} is cited and is no lock`),
  ];
}

describe('the locks', () => {
  it('that have landed are each cited by a test, and only locks are', () => {
    expect(problems(LOCKS, citations())).toEqual([]);
  });

  it('would be missed, were one not cited (the control)', () => {
    const cited = citations();
    cited.delete('LOCK-RECEIPT-1');
    expect(problems(LOCKS, cited)).toEqual(['LOCK-RECEIPT-1 has landed untested']);
    cited.add('LOCK-RECEIPT-1').add('LOCK-DREAM-1');
    expect(problems(LOCKS, cited)).toEqual(['LOCK-DREAM-1 is cited and is no lock']);
    const landed = [...LOCKS, { id: 'LOCK-DREAM-1', statement: 'Sheep.', since: '9.9.9' }];
    expect(problems(landed, citations())).toEqual(['LOCK-DREAM-1 has landed untested']);
  });

  it('are found in titles and nowhere else', () => {
    const b = '[LOCK-A-1]';
    expect(citedIn(`it('${b} holds', () => {})`)).toEqual(['LOCK-A-1']);
    expect(citedIn(`describe.each(['x'])('on %s ${b}', () => {})`)).toEqual(['LOCK-A-1']);
    expect(citedIn(`it.each([f(1), g(2)])(\n  \`${b} [LOCK-B-2] killed \${n} times\`,\n)`)).toEqual([
      'LOCK-A-1',
      'LOCK-B-2',
    ]);
    expect(citedIn(`// ${b}\nconst a = '${b}'; expect(x).toBe('${b}');`)).toEqual([]);
  });

  it('have an id of their own and say what holds', () => {
    expect(new Set(LOCKS.map(({ id }) => id)).size).toBe(LOCKS.length);
    for (const { id, statement } of LOCKS) {
      expect(id).toMatch(/^LOCK-[A-Z]+-\d+$/);
      expect(statement.length).toBeGreaterThan(20);
    }
  });
});
