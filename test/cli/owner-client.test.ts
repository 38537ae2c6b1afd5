/** The command's side of the owner's door, against daemons that do not answer as they should. */
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { expect, test } from 'vitest';
import { callOwnerDoor } from '../../src/cli/owner-client.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { seedJson, startDaemon } from './seed.ts';

const CALL = { tool: 't', input: {} };

async function serve(path: string, listener: RequestListener): Promise<AsyncDisposable> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  return {
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

test.each(['<html>', 'null', '7', '{}', '{"progress":3}', '{"progress":null}'])(
  'an answer that is none is an error of the daemon: %s',
  async (line) => {
    using room = scratch();
    const path = room.at('owner.sock');
    await using _server = await serve(path, (_request, response) => response.end(`${line}\n`));
    await expect(callOwnerDoor(path, CALL, () => {})).rejects.toMatchObject({ code: 'daemon_failed' });
  },
);

test('an error of an unknown kind stays an error', async () => {
  using room = scratch();
  const path = room.at('owner.sock');
  const error = { code: 'toString', message: 'Odd.', hint: 'Look.', data: { a: 1, b: [2] } };
  await using _server = await serve(path, (_request, response) => response.end(`${JSON.stringify({ error })}\n`));
  await expect(callOwnerDoor(path, CALL, () => {})).rejects.toMatchObject({
    code: 'internal',
    message: 'Odd.',
    hint: 'Look.',
    data: { a: 1 },
  });
});

test('who does not take the call in time has failed; who has taken it may be slow', async () => {
  using room = scratch();
  const [silent, slow] = [room.at('silent.sock'), room.at('slow.sock')];
  await using _silent = await serve(silent, () => {});
  await expect(callOwnerDoor(silent, CALL, () => {}, { waitMs: 50 })).rejects.toMatchObject({
    code: 'daemon_failed',
    message: 'The daemon has not taken the call within 0.05 s.',
  });
  const waitMs = 200;
  await using _slow = await serve(slow, (_request, response) => {
    response.flushHeaders();
    setTimeout(() => response.end('{"result":1}\n'), 2 * waitMs);
  });
  await expect(callOwnerDoor(slow, CALL, () => {}, { waitMs })).resolves.toBe(1);
});

test('a daemon that is suspended holds no command up, and is told by a signal', { timeout: 60_000 }, async () => {
  using room = scratch();
  const home = room.at('home');
  await using daemon = await startDaemon(home);
  daemon.kill('SIGSTOP');
  const failed = { code: 'daemon_failed', data: { pid: daemon.pid } };
  const [status, down] = await Promise.all([
    seedJson<ErrorAnswer>(['status', '--home', home]),
    seedJson<ErrorAnswer>(['down', '--home', home]),
  ]);
  expect(status).toMatchObject({ code: 1, answer: { error: failed } });
  expect(status.answer.error.hint).toContain(`pid ${daemon.pid}`);
  expect(down).toMatchObject({ code: 1, answer: { error: failed } });
  expect(down.answer.error.hint).toContain(`kill -9 ${daemon.pid}`);
  daemon.kill('SIGCONT');
  expect(await daemon.ended).toEqual({ code: 0, signal: null });
});
