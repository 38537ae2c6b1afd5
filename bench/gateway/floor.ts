/**
 * What a gateway in Node cannot go below, as a process of its own: node's server, and undici to the provider, with no
 * look at what is asked. Given a file, it makes two durable commits a call besides. Prints its address.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';
import { FloorLog } from '../floor.ts';

const CONNECTIONS = 512;

const [target = '', file] = process.argv.slice(2);
const pool = new Pool(target, { connections: CONNECTIONS, pipelining: 1 });
const log = file === undefined ? null : new FloorLog(file);

async function bodyOf(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of pieces) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Words of a stream go out as they come; its end, and a whole answer, only when the second receipt is durable. */
async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const call = randomUUID();
  const asked = await bodyOf(request);
  await log?.append(call);
  const { statusCode, headers, body } = await pool.request({
    method: 'POST',
    path: request.url ?? '/',
    headers: { 'content-type': 'application/json' },
    body: asked,
  });
  const type = String(headers['content-type']);
  const isStream = type.startsWith('text/event-stream');
  if (isStream) response.writeHead(statusCode, { 'content-type': type });
  const held: Buffer[] = [];
  for await (const chunk of body as AsyncIterable<Buffer>) {
    if (isStream) response.write(chunk);
    else held.push(chunk);
  }
  await log?.append(call);
  if (!isStream) response.writeHead(statusCode, { 'content-type': type });
  response.end(Buffer.concat(held));
}

const server = createServer((request, response) => {
  pass(request, response).catch((error: unknown) => response.destroy(error as Error));
});

process.stdin.resume().on('close', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
