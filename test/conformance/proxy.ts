/**
 * The conformance suite can send no access key, so it comes in through this proxy, which adds one.
 * It changes nothing else; only its own name in `Host` becomes the door's.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as startRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface KeyProxy extends AsyncDisposable {
  readonly url: string;
}

export async function openKeyProxy(door: URL, key: string): Promise<KeyProxy> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const own = new Set([`127.0.0.1:${port}`, `localhost:${port}`]);
  server.on('request', (request, response) => {
    const host = request.headers.host ?? '';
    forward(request, response, door, {
      ...request.headers,
      host: own.has(host) ? door.host : host,
      authorization: `Bearer ${key}`,
    });
  });
  return {
    url: `http://127.0.0.1:${port}${door.pathname}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  door: URL,
  headers: NodeJS.Dict<string | string[]>,
): void {
  const { method = 'GET', url = '/' } = request;
  const outgoing = startRequest({ host: door.hostname, port: door.port, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.on('error', () => response.destroy());
    answer.pipe(response);
  });
  outgoing.on('error', () => response.destroy());
  response.on('close', () => outgoing.destroy());
  request.pipe(outgoing);
}
