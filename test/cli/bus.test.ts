/** `seed bus`: what the owner sends, sees as it comes, and decides. */
import { expect, test } from 'vitest';
import { startNode } from '../support/child.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { initHome, LAUNCHER, seed, seedJson, startDaemon } from './seed.ts';

test('messages are printed as they come, acknowledged, and made harmless to the terminal', async () => {
  using room = scratch();
  const home = room.at('home');
  await using daemon = await startDaemon(home);
  await using tail = startNode([LAUNCHER, 'bus', 'tail', '--home', home]);
  const sent = await seed(['bus', 'send', 'owner', 'first\u001b[31m', '--thread', 'notes', '--home', home]);
  expect(sent).toMatchObject({ code: 0, stderr: '' });
  expect(sent.stdout).toMatch(/^Sent to owner in thread notes\. Receipt \d+\.\n$/);
  expect(await tail.line((line) => line.includes('first'))).toBe('  first\\u001b[31m');
  expect(tail.lines[0]).toMatch(/ {2}owner {2}\(notes\)$/);
  const data = ['bus', 'send', 'owner', '{"ok":true}', '--data', '--key', 'k', '--expires', '1h', '--home', home];
  expect((await seedJson<object>(data)).answer).toMatchObject({ to: [{ name: 'owner', seq: 2 }], repeated: false });
  expect((await seedJson<object>(data)).answer).toMatchObject({ repeated: true });
  expect(await tail.line((line) => line.includes('ok'))).toBe('  {"ok":true}');
  const peers = await seedJson<{ peers: readonly object[] }>(['bus', 'peers', '--home', home]);
  expect(peers).toMatchObject({ code: 0, answer: { peers: [{ name: 'seed', kind: 'seed' }], topics: [] } });
  expect((await seed(['bus', 'dead', 'list', '--home', home])).stdout).toBe('There are no dead letters.\n');

  daemon.kill('SIGTERM');
  expect(await daemon.ended).toEqual({ code: 0, signal: null });
  // Whoever waits is not left waiting, and told that nobody serves any more.
  expect((await tail.ended).code).not.toBe(0);
  // All was acknowledged: without a daemon the home itself says so.
  const list = ['receipts', 'list', '--action', 'bus.ack', '--home', home];
  const { answer } = await seedJson<{ receipts: readonly { action: string }[] }>(list);
  expect(answer.receipts.length).toBeGreaterThan(0);
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s is how it ends well', async (signal) => {
  using room = scratch();
  const home = room.at('home');
  await using _daemon = await startDaemon(home);
  await using tail = startNode([LAUNCHER, 'bus', 'tail', '--home', home]);
  await seed(['bus', 'send', 'owner', 'hello', '--home', home]);
  await tail.line((line) => line.includes('hello'));
  tail.kill(signal);
  expect(await tail.ended).toEqual({ code: 0, signal: null });
});

test('what is asked wrongly, and what needs a daemon', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  expect((await seed(['bus', 'tail', '--home', home])).code).toBe(4);
  const nobody = await seedJson<ErrorAnswer>(['bus', 'send', 'nobody', 'x', '--home', home]);
  expect(nobody).toMatchObject({ code: 1, answer: { error: { code: 'not_found' } } });
  const json = await seedJson<ErrorAnswer>(['bus', 'send', 'owner', 'x', '--data', '--home', home]);
  expect(json).toMatchObject({ code: 2, answer: { error: { code: 'invalid_input' } } });
  expect((await seed(['bus', 'dead', 'show', '17', '--home', home])).code).toBe(2);
  for (const verb of ['show', 'retry', 'drop']) {
    const gone = await seedJson<ErrorAnswer>(['bus', 'dead', verb, '1.17', '--home', home]);
    expect(gone).toMatchObject({ code: 1, answer: { error: { code: 'not_found' } } });
  }
});
