/** What a message is, by the rules alone, and what of a model's answer counts. */
import { describe, expect, test } from 'vitest';
import { parseAnswer, saidByItself, sortByRules } from '../../../src/mind/organs/digestor/verdict.ts';

describe('the rules that take over', () => {
  const letter = (body: string) => ({ seq: 1, from: 'ann', format: 'text' as const, body });

  test.each([
    ['Please review the branch', 'task'],
    ['Could you look at the tests', 'task'],
    ['TODO update the licence', 'task'],
    ['what time is the release?', 'question'],
    ['the website is down', 'alert'],
    ['ok', 'noise'],
    ['', 'noise'],
    ['Ann moved to Berlin in May', 'note'],
    ['数据库在十号机器上', 'note'],
  ])('%j is a %s', (body, kind) => {
    expect(sortByRules(letter(body), 'no model').kind).toBe(kind);
  });

  test('take one line for a title, and never fail', () => {
    expect(sortByRules(letter('\n\n  task:   do\tit \u0007 now\nand more'), 'x').title).toBe('do it now');
    expect(sortByRules(letter('x'.repeat(5_000)), 'x').title).toHaveLength(200);
    expect(sortByRules({ ...letter('{"a":1'), format: 'json' }, 'x').kind).toBe('note');
    expect(saidByItself({ ...letter('{"kind":"task","title":7}'), format: 'json' })).toMatchObject({ kind: 'task' });
    expect(saidByItself({ ...letter('{"kind":"sudo"}'), format: 'json' })).toBeNull();
    expect(parseAnswer('{"kind":"task"}')).toEqual({ kind: 'task' });
    expect(parseAnswer('{"kind":"task"} and more')).toBeNull();
  });
});
