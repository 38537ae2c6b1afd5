/** How lines go out: together where they are ready together, and cut off where nobody reads them. */
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LineTransport } from '../../src/doors/mcp-lines.ts';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

const UNREAD_BYTES_MAX = 4 * 1024 * 1024;

let folder: Scratch;
let server: Server;
let client: Socket;
let socket: Socket;
let lines: LineTransport;

beforeEach(async () => {
  folder = scratch();
  const path = folder.at('lines.sock');
  const met = Promise.withResolvers<Socket>();
  server = createServer(met.resolve);
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  client = connect(path);
  socket = await met.promise;
  lines = new LineTransport(socket, {
    bytesMax: 1_000,
    unreadBytesMax: UNREAD_BYTES_MAX,
    json: { depthMax: 64, valuesMax: 100 },
    take: () => true,
  });
});

afterEach(() => {
  for (const each of [client, socket]) each.destroy();
  server.close();
  folder[Symbol.dispose]();
});

/** How often something was written to the socket. */
function countWrites(): () => number {
  let writes = 0;
  const write = socket.write.bind(socket) as (...args: readonly unknown[]) => boolean;
  socket.write = (...args: readonly unknown[]) => {
    writes++;
    return write(...args);
  };
  return () => writes;
}

test('lines that are ready together are written once, in their order; the next ones by themselves', async () => {
  const writes = countWrites();
  let read = '';
  client.on('data', (chunk: Buffer) => {
    read += chunk.toString('utf8');
  });
  const [first, ...more] = ['1', '2', '3', '4'];
  lines.write(first ?? '');
  await Promise.all(more.map((text) => Promise.resolve(text).then((late) => lines.write(late))));
  await until(() => read.length >= 8, 'the lines to be read');
  expect([read, writes()]).toEqual(['1\n2\n3\n4\n', 1]);
  lines.write('5');
  await until(() => read.endsWith('5\n'), 'the last line to be read');
  expect(writes()).toBe(2);
});

test('what is much already does not wait for more', () => {
  const writes = countWrites();
  for (let i = 0; i < 4; i++) lines.write('x'.repeat(40_000));
  expect(writes()).toBe(2);
});

test('a client that reads nothing is cut off, whether or not it says anything more', async () => {
  client.pause();
  for (let i = 0; i < 40 && !socket.destroyed; i++) {
    lines.write('x'.repeat(UNREAD_BYTES_MAX / 20));
    await new Promise(setImmediate);
  }
  expect(socket.destroyed).toBe(true);
});
