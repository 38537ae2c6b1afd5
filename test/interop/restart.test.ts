/** A daemon that is restarted under its clients. */
import { describe, expect, test } from 'vitest';
import { until } from '../support/child.ts';
import { scratch } from '../support/scratch.ts';
import type { TestClient } from './clients.ts';
import { connect, KINDS } from './clients.ts';
import type { TestDaemon } from './daemon.ts';
import { startDaemon } from './daemon.ts';

async function note(client: TestClient): Promise<number> {
  const { isError, structured } = await client.call('receipt_note', { text: 'around a restart' });
  expect(isError).toBe(false);
  return Number(structured['receipt']);
}

describe.each(KINDS)('%s', (kind) => {
  test('goes on when the daemon was restarted between two calls', async () => {
    using folder = scratch();
    const home = folder.at('home');
    await using first = await startDaemon(home);
    await using http = await connect(first, kind, 'http', 'over-http');
    await using pipe = await connect(first, kind, 'seed mcp', 'over-pipe');
    await using socket = await connect(first, kind, 'socket', 'over-socket');
    const before = await note(http);
    await note(pipe);
    await note(socket);
    await first.stop();
    await socket.closed;

    await using second = await startDaemon(home);
    expect(second.url).toBe(first.url);
    // Both go on as who they were, in the same log.
    expect(await note(http)).toBeGreaterThan(before);
    const { structured } = await pipe.call('receipt_get', { seq: await note(pipe) });
    expect(structured['receipt']).toMatchObject({ actor: { id: 'over-pipe' } });
    // Whoever holds the socket itself connects again.
    await using again = await connect(second, kind, 'socket', 'over-socket');
    await note(again);
  });

  test('over `seed mcp` listens on through a restart, which it brings about itself', async () => {
    using folder = scratch();
    await using daemon = await startDaemon(folder.at('home'));
    // Ends after the pipe, which listens and would start another daemon.
    await using ending = new AsyncDisposableStack();
    await using pipe = await connect(daemon, kind, 'seed mcp', 'listener');
    const { updates } = await pipe.watch('seed://checkpoint');
    await daemon.stop();
    ending.use(await startedByPipe(daemon, pipe));
    const told = updates.length;
    await note(pipe);
    await until(() => updates.length > told, 'an update after the restart');
  });
});

/** The daemon that the pipe started, stopped at the end: nobody else would. */
async function startedByPipe({ owner }: TestDaemon, pipe: TestClient): Promise<AsyncDisposable> {
  await note(pipe);
  const { pid } = (await owner('seed_status', {})) as { pid: number };
  const isGone = (): boolean => {
    try {
      return !process.kill(pid, 0);
    } catch {
      return true;
    }
  };
  return {
    [Symbol.asyncDispose]: async () => {
      await owner('seed_stop', {});
      await until(isGone, `the end of pid ${pid}`);
    },
  };
}
