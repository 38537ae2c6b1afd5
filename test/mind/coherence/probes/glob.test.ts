/** Patterns of paths, held against what a regular expression makes of them, and what names that are chosen cost. */
import * as fc from '../../../support/fast-check.ts';
import { expect, test } from 'vitest';
import { compileGlob, compileReach } from '../../../../src/mind/coherence/probes/glob.ts';

/** The same in the language of regular expressions, which is right for small ones. */
function asExpression(glob: string): RegExp {
  const source = glob.replaceAll(/\*\*\/|\*\*|\*|\?/g, (part) => {
    const meaning = { '**/': '(?:.*/)?', '**': '.+', '*': '[^/]*', '?': '[^/]' }[part];
    return meaning ?? part;
  });
  return new RegExp(`^${source}$`);
}

const name = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 });
const part = fc.oneof(
  fc.constant('**'),
  fc
    .string({ unit: fc.constantFrom('a', 'b', '*', '?'), minLength: 1, maxLength: 5 })
    .filter((text) => !text.includes('**')),
);
const joined = (of: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(of, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

test('a pattern means what its regular expression means', () => {
  let fitting = 0;
  fc.assert(
    fc.property(joined(part), joined(name), (glob, path) => {
      const isMeant = asExpression(glob).test(path);
      if (isMeant) fitting++;
      expect(compileGlob(glob)(path)).toBe(isMeant);
    }),
    { numRuns: 2_000 },
  );
  expect(fitting).toBeGreaterThan(100);
});

test.each([
  ['*.gz', 'a.gz', true],
  ['*.gz', 'd/a.gz', false],
  ['**/*.gz', 'a.gz', true],
  ['**/*.gz', 'c/d/a.gz', true],
  ['c/**/d/*', 'c/d/d/e', true],
  ['c/**', 'c', false],
  ['c/**', 'c/d/e', true],
  ['a**', 'ab', true],
  ['a**', 'a/b', false],
  ['?', '', false],
  ['(a|b)*', 'a', false],
])('%s and %s: %s', (glob, path, fits) => {
  expect(compileGlob(glob)(path)).toBe(fits);
});

test('no folder is left out below which a path fits', () => {
  let fitting = 0;
  fc.assert(
    fc.property(joined(part), joined(name), (glob, path) => {
      fc.pre(compileGlob(glob)(path));
      fitting++;
      const names = path.split('/').slice(0, -1);
      for (const at of names.keys()) expect(compileReach(glob)(names.slice(0, at + 1).join('/'))).toBe(true);
    }),
    { numRuns: 200 },
  );
  expect(fitting).toBe(200);
});

test.each([
  ['*/*.gz', 'c', true],
  ['*/*.gz', 'c/d', false],
  ['*.gz', 'c', false],
  ['c?/x', 'c', false],
  ['c*/**/x', 'd', false],
  ['c*/**/x', 'cc/d/e', true],
])('%s through %s: %s', (glob, folder, leads) => {
  expect(compileReach(glob)(folder)).toBe(leads);
});

// As an expression, one name of 40 letters took a second with nine stars; there may be ten thousand of 255.
test('names that somebody chose to take long are done with at once', () => {
  const [long, deep] = [`${'a'.repeat(254)}b`, Array.from({ length: 9 }, () => 'a'.repeat(255)).join('/')];
  const [stars, folders] = [`${'*a'.repeat(200)}*c`, `${'**/*a*/'.repeat(100)}c`];
  for (let count = 0; count < 100; count++) {
    expect(compileGlob(stars)(long)).toBe(false);
    expect(compileGlob(folders)(deep)).toBe(false);
  }
}, 3_000);
