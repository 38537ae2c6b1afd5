/** What a message is, by the rules alone, and what of a model's answer counts. */
import { describe, expect, test } from 'vitest';
import { parseAnswer, saidByItself, sortByRules } from '../../../src/mind/organs/digestor/verdict.ts';
import { KINDS } from '../../../src/substrate/mind/sorted.ts';

/** A sixth of what a message may have, so that a rule that is quadratic ends within the time of a test run. */
const LONG_CHARS = 40_000;

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
    ['ok thanks', 'noise'],
    ['Thanks, noted!', 'noise'],
    ['🙂', 'noise'],
    ['👍🏽 ok', 'noise'],
    ['task:', 'noise'],
    ['thanks, the key is in the drawer', 'note'],
    ['is the disk full?', 'question'],
    ['the disk is full', 'alert'],
    ['urgent: is anybody there?', 'alert'],
    ['Ann moved to Berlin in May', 'note'],
    ['数据库在十号机器上', 'note'],
  ])('%j is a %s', (body, kind) => {
    expect(sortByRules(letter(body), 'no model').kind).toBe(kind);
  });

  test('see a word at the beginning of any line, and a question over two', () => {
    expect(sortByRules(letter('Hello,\n\u3000\tplease look'), 'x').kind).toBe('task');
    expect(sortByRules(letter('how do I\nreset it? I have forgotten'), 'x').kind).toBe('question');
    expect(sortByRules(letter('\n ok \r\n'), 'x').kind).toBe('noise');
    // What was not looked at may say something.
    expect(sortByRules(letter(`ok${'.'.repeat(9_000)}`), 'x').kind).toBe('note');
  });

  // Quadratic in its lines, a letter of this length would hold the one thread for seconds; a hundred, for minutes.
  test.each([
    '\n',
    '\r',
    '\u2028',
    ' ',
    '\t\n',
    '?',
    '? ',
    'who\n',
    'who ',
    'do ? \n',
    '.',
    'ok',
    '```\n',
    ':',
    'task ',
  ])(
    'are done at once with a letter of %j alone',
    (part) => {
      const body = part.repeat(Math.floor(LONG_CHARS / part.length));
      for (const text of [body, `${body}x`, `x${body}`, `x${body}x`]) {
        expect(KINDS).toContain(sortByRules(letter(text), 'x').kind);
        expect(saidByItself(letter(text))).toBeNull();
        expect(parseAnswer(`\`\`\`\n${text}`)).toBeNull();
      }
    },
    3_000,
  );

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
