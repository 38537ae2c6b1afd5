/** A stream on its way out: begun late, kept alive, whole, and cut where nobody reads it. */
import type { ServerResponse } from 'node:http';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test, vi } from 'vitest';
import * as limits from '../../../src/doors/limits.ts';
import { EventStream } from '../../../src/doors/gateway/event-stream.ts';
import type { StreamEncoder } from '../../../src/doors/gateway/wire.ts';
import { until } from '../../support/child.ts';

/** Gives out the text of each event as it is. */
function plainEncoder(): StreamEncoder {
  let begun = false;
  const say = (text: string): string => {
    begun ||= text !== '';
    return text;
  };
  return {
    get begun() {
      return begun;
    },
    on: (event) => say(event.type === 'text' ? event.text : ''),
    ping: () => say('ping'),
    end: () => say('end'),
    fail: () => say('fail'),
  };
}

/** A server with one response, and a client that reads it only when told to. */
async function exchange(): Promise<{
  response: ServerResponse;
  read: () => Promise<string>;
  close: () => Promise<void>;
}> {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  const server = createServer((_request, response) => resolve(response));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const { promise: answered, resolve: answer } = Promise.withResolvers<AsyncIterable<Buffer>>();
  const outgoing = request({ port, host: '127.0.0.1', agent: false }, answer);
  outgoing.on('error', () => {});
  outgoing.end();
  const read = async (): Promise<string> => {
    const chunks: Buffer[] = [];
    for await (const chunk of await answered) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  const close = async (): Promise<void> => {
    outgoing.destroy();
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  };
  return { response: await promise, read, close };
}

test('nothing is sent before something is said, and all that is said comes in order', async () => {
  const { response, read, close } = await exchange();
  let begun = 0;
  const options = { response, encoder: plainEncoder(), headers: { 'x-seed-call': 'c' } };
  const stream = new EventStream({ ...options, onBegun: () => begun++ });
  stream.on({ type: 'accepted' });
  expect([response.headersSent, begun]).toEqual([false, 0]);
  for (const text of ['a', 'b', 'c']) stream.on({ type: 'text', text });
  stream.end(null as never);
  expect(await read()).toBe('abcend');
  expect(begun).toBe(1);
  await close();
});

test('a stream that has nothing to say gives signs of life, until it has ended', async () => {
  const { response, read, close } = await exchange();
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const options = { response, encoder: plainEncoder(), headers: {}, onBegun: () => {} };
    const stream = new EventStream(options);
    vi.advanceTimersByTime(limits.PING_MS - 1);
    expect(response.headersSent).toBe(false);
    vi.advanceTimersByTime(1 + limits.PING_MS);
    stream.end(null as never);
    vi.advanceTimersByTime(10 * limits.PING_MS);
  } finally {
    vi.useRealTimers();
  }
  expect(await read()).toBe('pingpingend');
  await close();
});

test('a client that does not read is given up, and one that reads is not', async () => {
  const piece = 'x'.repeat(1024 * 1024);
  for (const reads of [false, true]) {
    const { response, read, close } = await exchange();
    const stream = new EventStream({ response, encoder: plainEncoder(), headers: {}, onBegun: () => {} });
    const reading = reads ? read() : null;
    for (let sent = 0; sent < 40 && !response.destroyed; sent++) {
      stream.on({ type: 'text', text: piece });
      await new Promise(setImmediate);
      if (reads) await until(() => response.writableLength === 0, 'the client to have read it');
    }
    expect(response.destroyed).toBe(!reads);
    if (!response.destroyed) stream.end(null as never);
    if (reading !== null) expect((await reading).length).toBe(40 * piece.length + 3);
    await close();
  }
});
