/** The owner passphrase: typed on a terminal by a person, and not to be had in any other way. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Receipt } from '../../src/formats/receipt.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { hasPty, seed, seedAtTerminal, seedJson, startDaemon } from './seed.ts';

const PASSPHRASE = 'correct horse bättery';
const ENTER = '\r';
const CTRL_C = '\u0003';
const CTRL_U = '\u0015';
const BACKSPACE = '\u007f';
const QUESTION = 'Owner passphrase: ';

describe.runIf(hasPty)('at a terminal', () => {
  let room: Scratch;
  let home: string;

  beforeAll(async () => {
    room = scratch();
    home = room.at('home');
    const made = await seedAtTerminal(
      ['init', '--passphrase', '--home', home],
      [
        [QUESTION, `${PASSPHRASE}${ENTER}`],
        ['The same again: ', `${PASSPHRASE}${ENTER}`],
      ],
    );
    expect(made.code, made.shown).toBe(0);
    expect(made.shown).not.toContain('horse');
    expect(made.shown).toContain('Owner acts ask for the passphrase.');
  });

  afterAll(() => {
    room[Symbol.dispose]();
  });

  async function note(text: string): Promise<string> {
    const { answer } = await seedJson<{ receipt: number }>(['receipts', 'note', text, '--home', home]);
    return String(answer.receipt);
  }

  /** The receipts that came after one, oldest first, as `action outcome code`. */
  async function receiptsAfter(seq: string): Promise<string[]> {
    const from = ['--from', String(Number(seq) + 1), '--oldest'];
    const { answer } = await seedJson<{ receipts: readonly Receipt[] }>(['receipts', 'list', ...from, '--home', home]);
    return answer.receipts.map(({ action, outcome, code }) => `${action} ${outcome} ${code ?? '-'}`);
  }

  test('no terminal, no owner act: not from a pipe, the environment or a flag; a receipt tells of it', async () => {
    const seq = await note('stays');
    const argv = ['receipts', 'erase', seq, '--home', home];
    const tries = [
      await seedJson<ErrorAnswer>(argv, { input: `${PASSPHRASE}\n` }),
      await seedJson<ErrorAnswer>(argv, {
        env: { SEED_PASSPHRASE: PASSPHRASE, SEED_OWNER_PASSPHRASE: PASSPHRASE, PASSPHRASE },
      }),
    ];
    for (const { code, answer } of tries) {
      expect({ code, error: answer.error.code }).toEqual({ code: 1, error: 'passphrase_required' });
    }
    const flag = await seedJson<ErrorAnswer>([...argv, '--passphrase', PASSPHRASE]);
    expect(flag).toMatchObject({ code: 2, answer: { error: { message: "Unknown option '--passphrase'." } } });
    const refusal = 'receipt.erase refused passphrase_required';
    expect(await receiptsAfter(seq)).toEqual([refusal, refusal]);
    const shown = await seed(['receipts', 'show', seq, '--home', home]);
    expect(shown.stdout).toContain('stays');
  });

  test('typed, it is accepted, with corrections, unseen, and with one receipt', async () => {
    const seq = await note('goes');
    const typed = `nonsense${CTRL_U}${PASSPHRASE}ry${BACKSPACE}${BACKSPACE}${ENTER}`;
    const { code, shown } = await seedAtTerminal(['receipts', 'erase', seq, '--home', home], [[QUESTION, typed]]);
    expect(code, shown).toBe(0);
    expect(shown).not.toMatch(/horse|nonsense/);
    expect(await receiptsAfter(seq)).toEqual(['receipt.erase ok -']);
  });

  test('the wrong one is refused, with a receipt', async () => {
    const seq = await note('stays too');
    const { code, shown } = await seedAtTerminal(
      ['receipts', 'erase', seq, '--home', home],
      [[QUESTION, `${PASSPHRASE}!${ENTER}`]],
    );
    expect(code).toBe(1);
    expect(shown).toContain('That is not the owner passphrase.');
    expect(await receiptsAfter(seq)).toEqual(['receipt.erase refused passphrase_required']);
  });

  test('Ctrl+C at the question does nothing at all', async () => {
    const seq = await note('stays as well');
    const { code, shown } = await seedAtTerminal(
      ['receipts', 'erase', seq, '--home', home],
      [[QUESTION, `corr${CTRL_C}`]],
    );
    expect(code).toBe(1);
    expect(shown).toContain('nothing was done');
    expect(await receiptsAfter(seq)).toEqual([]);
  });

  test('through the daemon it is the same', async () => {
    const seq = await note('behind the door');
    await using daemon = await startDaemon(home);
    const piped = await seedJson<ErrorAnswer>(['receipts', 'erase', seq, '--home', home], { input: `${PASSPHRASE}\n` });
    expect(piped).toMatchObject({ code: 1, answer: { error: { code: 'passphrase_required' } } });
    const { code, shown } = await seedAtTerminal(
      ['receipts', 'erase', seq, '--home', home],
      [[QUESTION, `${PASSPHRASE}${ENTER}`]],
    );
    expect(code, shown).toBe(0);
    daemon.kill('SIGTERM');
    await daemon.ended;
    const acts = (await receiptsAfter(seq)).filter((line) => line.startsWith('receipt.erase'));
    expect(acts).toEqual(['receipt.erase refused passphrase_required', 'receipt.erase ok -']);
  });

  test('what needs no passphrase does not ask for it', async () => {
    const { code, shown } = await seedAtTerminal(['receipts', 'note', 'x', '--home', home], []);
    expect(code).toBe(0);
    expect(shown).not.toContain('passphrase');
  });

  test('init at a terminal asks, and Enter means none', async () => {
    const { code, shown } = await seedAtTerminal(['init', '--home', room.at('open')], [['(Enter for none): ', ENTER]]);
    expect(code).toBe(0);
    expect(shown).toContain('every program that runs as you can act as its owner');
  });

  test.each([
    ['too short', [[QUESTION, `short${ENTER}`]], 'must have 8 to 1024 characters'],
    [
      'not the same twice',
      [
        [QUESTION, `${PASSPHRASE}${ENTER}`],
        ['again: ', `${PASSPHRASE}x${ENTER}`],
      ],
      'differ',
    ],
    ['empty', [[QUESTION, ENTER]], 'is empty'],
  ] as const)('a new passphrase that is %s makes no home', async (_what, steps, says) => {
    const { code, shown } = await seedAtTerminal(['init', '--passphrase', '--home', room.at('never')], steps);
    expect(code).toBe(2);
    expect(shown).toContain(says);
    expect(existsSync(room.at('never'))).toBe(false);
  });
});
