/** A server for a demonstration's simulated models, on loopback alone. */
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from '../../doors/node-http.ts';

/** Of a request; a demonstration's are far smaller. */
const BODY_BYTES_MAX = 1_000_000;

export interface Loopback {
  /** Without a slash at its end. */
  readonly url: string;
  readonly close: () => Promise<void>;
}

export interface Arrived {
  readonly path: string;
  readonly body: string;
  readonly response: ServerResponse;
}

/** Serves on a free port; `receive` gets each request when it has arrived whole, and answers it. */
export async function serveLoopback(receive: (arrived: Arrived) => void): Promise<Loopback> {
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
      if (body.length > BODY_BYTES_MAX) request.destroy();
    });
    request.on('end', () => receive({ path: request.url ?? '', body, response }));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
