/** The one line that is read before anybody is known: bounded in size and time. */
import { PassThrough } from 'node:stream';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { readFirstLine } from '../../src/doors/first-line.ts';

/** As much of a socket as reading a line needs. */
function wire(): { ours: Socket; theirs: PassThrough } {
  const theirs = new PassThrough();
  return { theirs, ours: theirs as unknown as Socket };
}

const LIMITS = { bytesMax: 10, waitMs: 60_000 };

describe('the first line', () => {
  test('is what stands before the first newline; the rest stays for whoever reads next', async () => {
    const { ours, theirs } = wire();
    const line = readFirstLine(ours, LIMITS);
    theirs.write('one');
    theirs.write(' two\nthree\nfour');
    expect(await line).toBe('one two');
    expect(ours.isPaused()).toBe(true);
    expect(String(ours.read())).toBe('three\nfour');
  });

  test.each([
    ['exactly as long as it may be', `${'x'.repeat(10)}\nrest`, 'x'.repeat(10)],
    ['empty', '\n', ''],
    ['cut in the middle of a letter', 'äöü\n', 'äöü'],
  ])('%s is read', async (_what, bytes, expected) => {
    const { ours, theirs } = wire();
    const line = readFirstLine(ours, LIMITS);
    for (const byte of Buffer.from(bytes)) theirs.write(Buffer.of(byte));
    expect(await line).toBe(expected);
  });

  test.each([
    ['a byte too long', `${'x'.repeat(11)}\n`],
    ['without an end', 'x'.repeat(11)],
    ['too long, with its end in the same piece', `${'x'.repeat(1_000_000)}\n`],
  ])('%s is refused', async (_what, bytes) => {
    const { ours, theirs } = wire();
    const line = readFirstLine(ours, LIMITS);
    theirs.write(bytes);
    await expect(line).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringContaining('long') as string,
    });
  });

  test('that does not come in time, or at all, is refused', async () => {
    const slow = wire();
    const late = readFirstLine(slow.ours, { bytesMax: 10, waitMs: 1 });
    slow.theirs.write('never en');
    await expect(late).rejects.toMatchObject({ message: expect.stringContaining('time') as string });
    const gone = wire();
    const none = readFirstLine(gone.ours, LIMITS);
    gone.theirs.destroy();
    await expect(none).rejects.toMatchObject({ message: expect.stringContaining('closed') as string });
  });
});
