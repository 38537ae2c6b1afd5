/**
 * What is no request at all, or never became a whole one, is answered too: in JSON, and in the terms of the API
 * that was asked where that is known. By itself Node sends a bare status line (`http`, "Event: 'clientError'").
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { SeedError, toSeedError, toWire } from '../errors.ts';
import { apiOf, isGatewayPath } from './gateway/paths.ts';

type Received = Pick<IncomingMessage, 'url' | 'headers'>;

/** The last exchange of a connection. */
interface Last {
  readonly request: Received;
  readonly response: ServerResponse;
}

/** Answers what Node cannot make a request of. A connection is closed with its answer. */
export function answerClientErrors(server: Server, onDefect: (error: SeedError) => void): void {
  const last = new WeakMap<Duplex, Last>();
  server.on('request', (request, response) => last.set(request.socket, { request, response }));
  server.on('clientError', (fault: NodeJS.ErrnoException, socket) => {
    const before = last.get(socket);
    const open = before === undefined || before.response.writableFinished ? null : before;
    // In the middle of an answer there is no room for another one, and whoever has gone reads none.
    if (!socket.writable || open?.response.headersSent === true || fault.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    tell(socket, fault, open?.request ?? null).catch((thrown: unknown) => {
      onDefect(toSeedError(thrown));
      socket.destroy();
    });
  });
}

async function tell(socket: Duplex, { code }: NodeJS.ErrnoException, request: Received | null): Promise<void> {
  const { status, error } = said(code ?? '');
  const body = await bodyOf(error, request);
  const head = [
    `HTTP/1.1 ${status}`,
    'connection: close',
    'cache-control: no-store',
    'x-content-type-options: nosniff',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

async function bodyOf(error: SeedError, request: Received | null): Promise<string> {
  const url = request?.url ?? '';
  if (request === null || !isGatewayPath(url)) {
    const { code, message, hint } = toWire(error, { outside: true });
    return JSON.stringify({ error: { code, message, hint } });
  }
  const { wireOf } = await import('./gateway/wires.ts');
  return wireOf(apiOf(url, request.headers)).error(error).body;
}

/** By the codes that Node gives them; the statuses are those that it would send by itself. */
function said(code: string): { status: string; error: SeedError } {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return {
        status: '431 Request Header Fields Too Large',
        error: new SeedError('too_large', 'The headers are larger than 16 KB.', { hint: 'Send less in them.' }),
      };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return {
        status: '408 Request Timeout',
        error: new SeedError('too_slow', 'The request did not arrive in time.', { hint: 'Send it again, faster.' }),
      };
    default:
      return {
        status: '400 Bad Request',
        error: new SeedError('invalid_input', 'This is no whole HTTP request.', {
          hint: 'Send one as RFC 9112 has it, with a body as long as its Content-Length says.',
        }),
      };
  }
}
